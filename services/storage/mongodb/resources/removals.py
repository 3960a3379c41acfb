"""Deleted environments: gone at once for everybody, emptied afterwards in bounded steps."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.transactions import Session

BY_FIELD: Final = (
    "flags",
    "segments",
    "sdk_keys",
    "item_history",
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

BY_SCOPE: Final = ("resource_history",)
"""Collections whose documents name the scope that they lie in, here the environment."""

BY_ID: Final = ("requests", "insight_batches")
"""Collections whose documents' ids begin with it."""

LATE: Final = timedelta(days=1)
"""How long data may still come in: messages that were under way when it was deleted."""

ENVIRONMENTS: Final = 20
"""Looked at in one step; the others have their turn in the next."""

_CHUNK: Final = 1_000


async def begin_removal(connection: Connection, environment_id: str, session: Session) -> None:
    """Its keys go at once, a note of what is left to do comes."""
    await connection["sdk_keys"].delete_many({"environment": environment_id}, session=session)
    # Never looked at sorts first: it has its turn before those that were found empty.
    note = {"_id": environment_id, "deleted_at": connection.now(), "looked_at": None}
    await connection["removed_environments"].insert_one(note, session=session)


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
        *((collection, {"scope": environment_id}) for collection in BY_SCOPE),
        # Entries stay: they say who deleted what. Those of old versions hold copies of it.
        ("audit_log", {"environment": environment_id, "before": {"$exists": True}}),
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
