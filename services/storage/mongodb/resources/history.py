"""Every version of every flag and segment, as it was; nothing of it is ever changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from services.runtime.errors import NotFound
from services.storage.model.changes import Committed, Request
from services.storage.model.items import ItemVersion, R, Record
from services.storage.model.pages import Page
from services.storage.mongodb.driver.client import Connection, Document, require
from services.storage.mongodb.driver.paging import Order, read_page
from services.storage.mongodb.driver.transactions import Session
from services.storage.mongodb.resources.requests import find_outcome
from services.storage.mongodb.resources.writes import COLLECTIONS, SEGMENT, identity_of, record_of

_NEWEST_FIRST = Order(("version",), (int,), descending=True)


def history_id(environment_id: str, kind: str, item: str, version: int) -> str:
    """Id of one version; ``item`` is a flag's key or a segment's id."""
    return f"{environment_id}/{item}/{kind}/{version}"


def history_id_of(environment_id: str, record: Record) -> str:
    """Id of the version that a stored record is."""
    kind, item = identity_of(record)
    return history_id(environment_id, kind, item, record.item.version)


async def find_committed(
    connection: Connection, environment_id: str, request: Request, session: Session | None = None
) -> Committed | None:
    """The outcome of the change that this request made; raises as `find_outcome`."""
    outcome = await find_outcome(connection, environment_id, request, session)
    if outcome is None:
        return None
    history = connection["item_history"]
    records: tuple[Record | None, ...] = ()
    if outcome["changed"]:
        query = {"environment": environment_id, "revision": outcome["revision"]}
        cursor = history.find(query, session=session).sort("position", 1)
        records = tuple(map(_record_of, await cursor.to_list(None)))
    cursor = history.find({"_id": {"$in": outcome["kept"]}}, session=session)
    kept = [record for record in map(_record_of, await cursor.to_list(None)) if record]
    return Committed(outcome["revision"], records, tuple(kept), replayed=True)


async def list_versions(
    connection: Connection, environment_id: str, named: tuple[str, str], size: int, token: str
) -> Page[ItemVersion[R]]:
    """Those of the item ``named`` by kind and key, newest first; raises `NotFound`."""
    query = await _versions_of(connection, environment_id, named)
    return await read_page(
        connection["item_history"],
        query,
        order=_NEWEST_FIRST,
        size=size,
        token=token,
        decode=_version_of,
    )


async def get_version(
    connection: Connection, environment_id: str, named: tuple[str, str], version: int
) -> ItemVersion[R]:
    """One version of the item ``named`` by kind and key; raises `NotFound`."""
    query = await _versions_of(connection, environment_id, named)
    document = await connection["item_history"].find_one({**query, "version": version})
    if document is None:
        kind, key = named
        raise NotFound(f"{kind} {key!r} has no version {version}")
    return _version_of(document)


async def last_versions(
    connection: Connection, environment_id: str, kind: str, items: Sequence[str], session: Session
) -> dict[str, int]:
    """The highest version that each of the items ever had; those without one are absent."""
    match = {"environment": environment_id, "kind": kind, "item": {"$in": list(items)}}
    cursor = connection["item_history"].aggregate(
        [{"$match": match}, {"$group": {"_id": "$item", "version": {"$max": "$version"}}}],
        session=session,
    )
    return {found["_id"]: found["version"] for found in await cursor.to_list(len(items))}


async def _versions_of(
    connection: Connection, environment_id: str, named: tuple[str, str]
) -> Document:
    kind, key = named
    item = key if kind != SEGMENT else await _segment_id(connection, environment_id, key)
    query: Document = {"environment": environment_id, "kind": kind, "item": item}
    if item is None or await connection["item_history"].find_one(query, {"_id": 1}) is None:
        await require(connection, "environments", environment_id)  # else say that
        raise NotFound(f"{kind} {key!r} does not exist and never did")
    return query


async def _segment_id(connection: Connection, environment_id: str, key: str) -> str | None:
    """Of the segment that has the key, or else of the last one that had it."""
    query: Document = {"environment": environment_id, "key": key, "deleted": False}
    live = await connection[COLLECTIONS[SEGMENT]].find_one(query, {"_id": 0, "id": 1})
    if live is not None:
        return str(live["id"])
    query = {"environment": environment_id, "kind": SEGMENT, "document.key": key}
    newest_first = [("revision", -1), ("position", -1)]
    last = await connection["item_history"].find_one(query, {"item": 1}, sort=newest_first)
    return str(last["item"]) if last else None


def _record_of(entry: Document) -> Record | None:
    return record_of(entry["kind"], entry["document"])


def _version_of(entry: Document) -> ItemVersion[R]:
    # The query names the kind, and so the type.
    return ItemVersion(entry["version"], entry["revision"], cast("R | None", _record_of(entry)))
