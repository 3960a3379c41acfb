"""Every version of every resource, as it was; nothing of it is ever changed.

An entry holds the whole document if that is small, and otherwise what differs from the
version before. A chain of such deltas begins at a ``checkpoint``, a version that is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import bson

from services.runtime.errors import NotFound
from services.storage.model.changes import Committed, WriteOptions
from services.storage.model.kinds import KINDS
from services.storage.model.pages import Page
from services.storage.model.resource import AnyKind, AnyStored, Kind, R, Version
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.paging import Order, Rows, read_page
from services.storage.mongodb.driver.transactions import Session
from services.storage.mongodb.resources.codecs import key_query, stored_of
from services.storage.mongodb.resources.deltas import apply, diff
from services.storage.mongodb.resources.requests import find_outcome
from services.storage.mongodb.resources.scopes import level_of, require_scope

WHOLE_BYTES: Final = 16 * 1024
"""Largest document that is always stored whole, in bytes of BSON."""

CHAIN_VERSIONS: Final = 200
"""Longest chain of deltas."""

CHAIN: Final = "chain"
"""Field of a large item's document: where its newest version's chain begins, and its bytes."""

_NEWEST_FIRST = Order(("version",), (int,), descending=True)
_ORDER: Final = ("revision", "position")


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry holds of a version: its ``document`` or, beyond a checkpoint, a ``delta``.

    ``size`` is that of the whole document in bytes.
    """

    size: int
    document: Document | None
    delta: Document | None = None
    chain: Document | None = None

    def fields(self) -> Document:
        """As stored."""
        if self.delta is None or self.chain is None:
            return {"size": self.size, "document": self.document}
        checkpoint = self.chain["checkpoint"]
        return {"size": self.size, "delta": self.delta, "checkpoint": checkpoint}


def entry_of(document: Document, base: Document | None, head: Document) -> Entry:
    """Whole, or the delta from ``base`` if that is much smaller; ``head`` is as stored."""
    size = len(bson.encode(document))
    whole = Entry(size, document)
    if base is None or size <= WHOLE_BYTES:
        return whole
    delta = diff({name: value for name, value in base.items() if name != CHAIN}, document)
    chain = head.get(CHAIN) or {"checkpoint": head["version"], "bytes": 0}
    total = chain["bytes"] + len(bson.encode(delta))
    if total > size // 2 or document["version"] - chain["checkpoint"] > CHAIN_VERSIONS:
        return whole
    return Entry(size, None, delta, {"checkpoint": chain["checkpoint"], "bytes": total})


def collection_of(kind: AnyKind) -> str:
    """Where the history of a kind is: `evaluation` reads that of synced ones all the time."""
    return "item_history" if kind.synced else "resource_history"


def item_query(kind: AnyKind, scope_id: str, item: str) -> Document:
    """All versions of one resource; ``item`` is its id within the scope."""
    return {**scope_query(kind, scope_id), "kind": kind.name, "item": item}


def scope_query(kind: AnyKind, scope_id: str) -> Document:
    """All entries of one scope."""
    return {"environment" if kind.synced else "scope": scope_id}


def history_id(kind: AnyKind, resource_id: str, version: int) -> str:
    """Id of one version."""
    return f"{resource_id}/{kind.name}/{version}"


async def find_committed(
    connection: Connection, scope_id: str, options: WriteOptions, session: Session | None = None
) -> Committed | None:
    """The outcome of the change that this request made; raises as `find_outcome`."""
    outcome = await find_outcome(connection, scope_id, options, session)
    if outcome is None:
        return None
    resources: tuple[AnyStored | None, ...] = ()
    if "entries" in outcome:
        entries = await _entries(connection["resource_history"], outcome["entries"], session)
        resources = tuple(await resources_of(connection, entries, session))
    elif outcome["changed"]:
        query = {"environment": scope_id, "revision": outcome["revision"]}
        cursor = connection["item_history"].find(query, session=session).sort("position", 1)
        entries = await cursor.to_list(None)
        resources = tuple(await resources_of(connection, entries, session))
    kept: list[AnyStored | None] = []
    for collection in ("item_history", "resource_history") if outcome["kept"] else ():
        entries = await _entries(connection[collection], outcome["kept"], session)
        kept += await resources_of(connection, entries, session)
    unchanged = tuple(each for each in kept if each is not None)
    return Committed(outcome["revision"], resources, unchanged, replayed=True)


async def _entries(collection: Any, ids: list[str], session: Session | None) -> list[Document]:
    """In the order of the ids, those that are there."""
    cursor = collection.find({"_id": {"$in": ids}}, session=session)
    found = {entry["_id"]: entry for entry in await cursor.to_list(None)}
    return [found[each] for each in ids if each in found]


async def list_versions(
    connection: Connection, kind: Kind[R], scope_id: str, key: str, page: tuple[int, str]
) -> Page[Version[R]]:
    """Those of the resource with the key, newest first; raises `NotFound`."""
    size, token = page
    query = await _versions_of(connection, kind, scope_id, key)
    found = await read_page(
        connection[collection_of(kind)],
        query,
        order=_NEWEST_FIRST,
        size=size,
        token=token,
        rows=Rows(lambda entry: entry, weigh=lambda entry: entry.get("size", 0)),
    )
    return Page(tuple(await _versions(connection, kind, found.items)), found.next_token)


async def get_version(
    connection: Connection, kind: Kind[R], scope_id: str, key: str, version: int
) -> Version[R]:
    """One version of the resource with the key; raises `NotFound`."""
    query = await _versions_of(connection, kind, scope_id, key)
    entry = await connection[collection_of(kind)].find_one({**query, "version": version})
    if entry is None:
        raise NotFound(f"{kind.label} {key!r} has no version {version}")
    (found,) = await _versions(connection, kind, [entry])
    return found


async def last_versions(
    connection: Connection, kind: AnyKind, scope_id: str, items: Sequence[str], session: Session
) -> dict[str, Document]:
    """Of each item that ever was the document of its last version, which is a tombstone."""
    match = {**scope_query(kind, scope_id), "kind": kind.name, "item": {"$in": list(items)}}
    newest = {"_id": "$item", "version": {"$max": "$version"}}
    collection = connection[collection_of(kind)]
    cursor = collection.aggregate([{"$match": match}, {"$group": newest}], session=session)
    last = await cursor.to_list(len(items))
    ids = [history_id(kind, f"{scope_id}/{one['_id']}", one["version"]) for one in last]
    entries = await _entries(collection, ids, session)
    return {entry["item"]: entry["document"] for entry in entries}


async def resources_of(
    connection: Connection, entries: Sequence[Document], session: Session | None = None
) -> list[AnyStored | None]:
    """What the entries hold, None for deletions."""
    documents = await documents_of(connection, entries, session)
    return [
        None if document is None or document.get("deleted") else _stored(entry, document)
        for entry, document in zip(entries, documents, strict=True)
    ]


async def documents_of(
    connection: Connection, entries: Sequence[Document], session: Session | None = None
) -> list[Document | None]:
    """The whole documents of entries; None for one whose chain is broken."""
    deltas: dict[tuple[str, str, str], list[Document]] = {}
    for entry in entries:
        if "delta" in entry:
            scope = entry.get("environment") or entry["scope"]
            deltas.setdefault((entry["kind"], scope, entry["item"]), []).append(entry)
    rebuilt: dict[str, Document] = {}
    for (kind, scope, item), some in deltas.items():
        query = item_query(KINDS[kind], scope, item)
        rebuilt |= await _rebuilt(connection, KINDS[kind], query, some, session)
    return [entry.get("document") or rebuilt.get(entry["_id"]) for entry in entries]


async def _rebuilt(
    connection: Connection,
    kind: AnyKind,
    query: Document,
    wanted: Sequence[Document],
    session: Session | None,
) -> dict[str, Document]:
    """Documents of one item's deltas by entry, from the checkpoint of the first one on."""
    first = min(entry["checkpoint"] for entry in wanted)
    last = max(entry["version"] for entry in wanted)
    between = {**query, "version": {"$gte": first, "$lte": last}}
    cursor = connection[collection_of(kind)].find(between, session=session).sort("version", 1)
    ids = {entry["_id"] for entry in wanted}
    found: dict[str, Document] = {}
    document: Document | None = None
    version = 0
    for entry in await cursor.to_list(None):
        if "document" in entry:
            document = entry["document"]
        elif document is not None:
            follows = entry["version"] == version + 1
            document = apply(document, entry["delta"]) if follows else None
        version = entry["version"]
        if document is not None and entry["_id"] in ids:
            found[entry["_id"]] = document
    return found


async def _versions(
    connection: Connection, kind: Kind[R], entries: Sequence[Document]
) -> Iterable[Version[R]]:
    documents = await documents_of(connection, entries)
    return [
        Version(
            entry["version"],
            entry.get("revision", 0),
            None if document is None or document.get("deleted") else stored_of(kind, document),
        )
        for entry, document in zip(entries, documents, strict=True)
    ]


async def _versions_of(connection: Connection, kind: AnyKind, scope_id: str, key: str) -> Document:
    query = item_query(kind, scope_id, await _item_of(connection, kind, scope_id, key))
    if await connection[collection_of(kind)].find_one(query, {"_id": 1}) is None:
        await require_scope(connection, level_of(kind, scope_id), scope_id)  # else say that
        raise NotFound(f"{kind.label} {key!r} does not exist and never did")
    return query


async def _item_of(connection: Connection, kind: AnyKind, scope_id: str, key: str) -> str:
    """Of the resource that has the key, of the last one that had it, or else the key as an id."""
    if kind.key_of is None:
        return key
    live = await connection[kind.collection].find_one(key_query(kind, scope_id, [key]), {"_id": 1})
    if live is not None:
        found: str = live["_id"]
        return found.removeprefix(f"{scope_id}/") if kind.local_id else found
    query = {**scope_query(kind, scope_id), "kind": kind.name, "key": key}
    newest_first = [(field, -1) for field in (_ORDER if kind.synced else ("time", "version"))]
    last = await connection[collection_of(kind)].find_one(query, {"item": 1}, sort=newest_first)
    return str(last["item"]) if last else key


def _stored(entry: Document, document: Document) -> AnyStored:
    return stored_of(KINDS[entry["kind"]], document)
