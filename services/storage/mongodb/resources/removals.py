"""Deleted environments: gone at once for everybody, emptied afterwards in bounded steps."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from services.runtime.errors import NotFound
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.transactions import Session

BY_FIELD: Final = (
    "flags",
    "segments",
    "sdk_keys",
    "item_history",
    "audit_log",
    "outbox",
    "end_users",
    "user_properties",
    "flag_evaluations",
    "metric_events",
    "flag_minutes",
    "flag_hours",
    "flag_days",
    "environment_days",
    "experiment_exposures",
    "stream_progress",
)
"""Collections whose documents name their environment."""

BY_ID: Final = ("requests", "insight_batches")
"""Collections whose documents' ids begin with it."""

LATE: Final = timedelta(days=1)
"""How long data may still come in: messages that were under way when it was deleted."""

ENVIRONMENTS: Final = 20
"""Looked at in one step; the others have their turn in the next."""

_CHUNK: Final = 1_000


async def hold_environment(connection: Connection, environment_id: str, session: Session) -> None:
    """Keeps it from being deleted before the transaction ends; raises `NotFound`.

    Reading it would not: only two writes of one document get into each other's way.
    """
    held = await connection["environments"].update_one(
        {"_id": environment_id}, {"$inc": {"keys_made": 1}}, session=session
    )
    if not held.matched_count:
        raise NotFound(f"environment {environment_id!r} does not exist")


async def begin_removal(connection: Connection, environment_id: str, session: Session) -> Document:
    """Environment and keys go, a note of what is left to do comes; raises `NotFound`."""
    query = {"_id": environment_id}
    gone = await connection["environments"].find_one_and_delete(query, session=session)
    if gone is None:
        raise NotFound(f"environment {environment_id!r} does not exist")
    await connection["sdk_keys"].delete_many({"environment": environment_id}, session=session)
    # Never looked at sorts first: it has its turn before those that were found empty.
    note = {"_id": environment_id, "deleted_at": connection.now(), "looked_at": None}
    await connection["removed_environments"].insert_one(note, session=session)
    return {}


async def remove_deleted(connection: Connection, limit: int) -> int:
    """As `MaintenanceStore.remove_deleted`."""
    notes = connection["removed_environments"]
    cursor = notes.find().sort("looked_at", 1).limit(ENVIRONMENTS)
    removed = 0
    for note in await cursor.to_list(ENVIRONMENTS):
        removed += await _empty(connection, note["_id"], limit - removed)
        if removed == limit:
            break
        now, query = connection.now(), {"_id": note["_id"]}
        if now - note["deleted_at"] > LATE:
            await notes.delete_one(query)
        else:
            await notes.update_one(query, {"$set": {"looked_at": now}})
    return removed


async def _empty(connection: Connection, environment_id: str, limit: int) -> int:
    by_id = {"_id": {"$gte": f"{environment_id}/", "$lt": f"{environment_id}0"}}  # "0" follows "/"
    queries: list[tuple[str, Document]] = [
        *((collection, {"environment": environment_id}) for collection in BY_FIELD),
        *((collection, by_id) for collection in BY_ID),
    ]
    removed = 0
    for collection, query in queries:
        while removed < limit:
            size = min(limit - removed, _CHUNK)
            found = await connection[collection].find(query, {"_id": 1}).limit(size).to_list(size)
            if not found:
                break
            ids = [document["_id"] for document in found]
            done = await connection[collection].delete_many({"_id": {"$in": ids}})
            removed += done.deleted_count
    return removed
