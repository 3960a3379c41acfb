"""History and audit that are older than they are to be kept, removed in bounded steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.paging import Order

KEPT_VERSIONS: Final = 10
"""Newest versions of each resource that stay, however old they are."""

LOOKED_AT: Final = 200
"""Resources that one step looks at."""

_PROGRESS: Final = "pruned history"
"""Id of the note of how far the removal has come, among the leases."""

_SCOPES: Final = {"item_history": "environment", "resource_history": "scope"}
_TIMES: Final = {"item_history": "revision", "resource_history": "time"}


async def prune_audit(connection: Connection, before: datetime, limit: int) -> int:
    """As `MaintenanceStore.prune_audit`."""
    query = {"sequence": {"$lt": _milliseconds(before)}}
    cursor = connection["audit_log"].find(query, {"_id": 1}).sort("sequence", 1).limit(limit)
    return await _delete(connection, "audit_log", await cursor.to_list(limit))


async def prune_history(connection: Connection, before: datetime, limit: int) -> int:
    """As `MaintenanceStore.prune_history`: goes on where the step before has stopped."""
    note = await connection["leases"].find_one({"_id": _PROGRESS}) or {}
    collection, after = note.get("collection", "item_history"), note.get("after")
    removed = 0
    for _ in range(LOOKED_AT):
        oldest = await _next(connection, collection, after)
        if oldest is None:
            collection, after = next(each for each in _SCOPES if each != collection), None
            break
        removed += await _prune(connection, collection, oldest, before, limit - removed)
        if removed >= limit:
            break  # there may be more of it
        after = [oldest[field] for field in _fields(collection)]
    progress = {"$set": {"collection": collection, "after": after}}
    await connection["leases"].update_one({"_id": _PROGRESS}, progress, upsert=True)
    return removed


async def _next(
    connection: Connection, collection: str, after: list[Any] | None
) -> Document | None:
    """The oldest version of the resource that follows."""
    fields = _fields(collection)
    order = Order(fields, (str, str, str))
    sort = [(field, 1) for field in (*fields, "version")]
    for query in order.beyond(after) if after else [{}]:
        found = await connection[collection].find_one(query, _projection(collection), sort=sort)
        if found is not None:
            return found
    return None


async def _prune(
    connection: Connection, collection: str, oldest: Document, before: datetime, limit: int
) -> int:
    """Versions below all that stay, and below the whole one that these are built on."""
    time = _TIMES[collection]
    boundary: Any = before if time == "time" else _milliseconds(before)
    if oldest[time] >= boundary:
        return 0
    query = {field: oldest[field] for field in _fields(collection)}
    entries = connection[collection]
    projection = _projection(collection)
    newest = entries.find(query, projection).sort("version", -1).limit(KEPT_VERSIONS)
    kept = await newest.to_list(KEPT_VERSIONS)
    young = await entries.find_one(
        {**query, time: {"$gte": boundary}}, projection, sort=[("version", 1)]
    )
    lowest = min([*kept, *([young] if young else [])], key=lambda entry: int(entry["version"]))
    first = lowest.get("checkpoint", lowest["version"])
    cursor = entries.find({**query, "version": {"$lt": first}}, {"_id": 1})
    found = await cursor.sort("version", 1).limit(limit).to_list(limit)
    return await _delete(connection, collection, found)


async def _delete(connection: Connection, collection: str, found: list[Document]) -> int:
    if not found:
        return 0
    ids = [document["_id"] for document in found]
    return int((await connection[collection].delete_many({"_id": {"$in": ids}})).deleted_count)


def _fields(collection: str) -> tuple[str, str, str]:
    return (_SCOPES[collection], "kind", "item")


def _projection(collection: str) -> Document:
    return dict.fromkeys((*_fields(collection), "version", "checkpoint", _TIMES[collection]), 1)


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
