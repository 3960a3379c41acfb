"""What `evaluation` reads: each answer is one point in time over all collections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TypeVar

import pymongo
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from services.runtime.errors import NotFound
from services.storage.model.definitions import Definitions, EnvironmentHead, Tombstone
from services.storage.model.kinds import FLAG, SEGMENT
from services.storage.mongodb.driver.client import LOOK_SECONDS, Document, Part
from services.storage.mongodb.driver.errors import translated
from services.storage.mongodb.resources.documents import flag_of, segment_of
from services.storage.mongodb.resources.epochs import renew_epoch

T = TypeVar("T")

HISTORY_ENTRIES = 64
"""Versions that are read one by one. Of more, the items are read as they are now."""

_SNAPSHOT_UNAVAILABLE = 246
_ATTEMPTS = 5
_PAUSE_SECONDS = 0.05
_UNUSED = {"display_name": 0, "description": 0, "tags": 0}
_HEAD = "environments"
_HEAD_FIELDS = {"revision": 1, "first_revision": 1, "floor": 1, "epoch": 1}
_ITEMS = ("flags", "segments")
_HISTORY = "item_history"
_ENTRY_FIELDS = ("kind", "item", "revision", "previous", "floor", "document")
_ENTRY = {"_id": 0, **dict.fromkeys(_ENTRY_FIELDS, 1)}
_OLDEST_FIRST = {"revision": 1, "position": 1}
_COLLECTION = "_collection"
_SNAPSHOT = ReadConcern("snapshot")


class MongoDefinitions(Part):
    """`DefinitionStore` on MongoDB."""

    @translated
    async def read_definitions(self, environment_id: str) -> Definitions:
        return await self._read(environment_id, None)

    @translated
    async def read_changes(self, environment_id: str, since: int) -> Definitions:
        few = await self._read_history(environment_id, since)
        return await self._read(environment_id, since) if few is None else few

    @translated
    async def read_heads(self, environment_ids: Collection[str]) -> dict[str, EnvironmentHead]:
        query = {"_id": {"$in": list(environment_ids)}}
        with pymongo.timeout(LOOK_SECONDS):
            found = await self._connection.find_all(_HEAD, query, {"revision": 1, "epoch": 1})
        return {
            each["_id"]: EnvironmentHead(each["revision"], each.get("epoch", b"")) for each in found
        }

    @translated
    async def has_revision(self, environment_id: str, revision: int) -> bool:
        pipeline: list[Document] = [
            {"$match": {"_id": environment_id, "first_revision": revision}},
            {"$project": {"_id": 1}},
            _with_change_at(environment_id, revision),
        ]
        with pymongo.timeout(LOOK_SECONDS):
            return bool(await self._few(pipeline))

    @translated
    async def renew_epoch(self, environment_id: str, known: bytes) -> None:
        await renew_epoch(self._connection, environment_id, known)

    async def _read_history(self, environment_id: str, since: int) -> Definitions | None:
        """The last few changes, in half the time that `_read` takes; None if it has to tell.

        Each entry was written with the item's document, in one transaction. Entries of before
        schema version 5 do not say what they follow.
        """
        command: Document = {
            "find": _HISTORY,
            "filter": {"environment": environment_id, "revision": {"$gt": since}},
            "sort": _OLDEST_FIRST,
            "hint": {"environment": 1, **_OLDEST_FIRST},
            "limit": HISTORY_ENTRIES + 1,
            "projection": _ENTRY,
            "readConcern": _SNAPSHOT.document,
        }
        try:
            entries = await self._connection.one_answer(command)
        except OperationFailure:
            return None
        if not entries or len(entries) > HISTORY_ENTRIES or entries[0].get("previous") != since:
            return None
        if any("document" not in entry for entry in entries):
            return None  # of a large item there is only what changed
        newest = {(entry["kind"], entry["item"]): entry["document"] for entry in entries}
        return _definitions(
            environment_id,
            revision=entries[-1]["revision"],
            floor=max(entry.get("floor", 0) for entry in entries),
            flags=[each for (kind, _), each in newest.items() if kind == FLAG.name],
            segments=[each for (kind, _), each in newest.items() if kind == SEGMENT.name],
        )

    async def _read(self, environment_id: str, since: int | None) -> Definitions:
        """Read once more when indexes were made a moment ago, which hides older snapshots."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._read_snapshot(environment_id, since)
            except OperationFailure as error:
                if error.code != _SNAPSHOT_UNAVAILABLE:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)
        return await self._read_snapshot(environment_id, since)

    async def _read_snapshot(self, environment_id: str, since: int | None) -> Definitions:
        """In one question to the store: every SDK waits for the answer."""
        query: Document = {"environment": environment_id}
        pipeline: list[Document] = [
            {"$match": {"_id": environment_id}},
            {"$project": {**_HEAD_FIELDS, _COLLECTION: _HEAD}},
        ]
        if since is not None:
            query["revision"] = {"$gt": since}
            pipeline.append(_with_change_at(environment_id, since))
        pipeline += (_with_those_of(collection, query) for collection in _ITEMS)
        documents = await (self._all(pipeline) if since is None else self._few(pipeline))
        found: dict[str, list[Document]] = {each: [] for each in (_HEAD, _HISTORY, *_ITEMS)}
        for document in documents:
            found[document[_COLLECTION]].append(document)
        if not found[_HEAD]:
            raise NotFound(f"environment {environment_id!r} does not exist")
        (environment,), changes, flags, segments = found.values()
        known = (None, environment["revision"], environment.get("first_revision"))
        definitions = _definitions(
            environment_id,
            revision=environment["revision"],
            floor=environment.get("floor", 0),
            flags=flags,
            segments=segments,
        )
        return replace(
            definitions,
            epoch=environment.get("epoch", b""),
            follows=bool(changes) or since in known,
        )

    async def _all(self, pipeline: list[Document]) -> list[Document]:
        collection = self._connection[_HEAD].with_options(read_concern=_SNAPSHOT)
        return await collection.aggregate(pipeline).to_list(None)

    async def _few(self, pipeline: list[Document]) -> list[Document]:
        """As `_all`, sooner if one answer holds them."""
        command = {"aggregate": _HEAD, "pipeline": pipeline, "readConcern": _SNAPSHOT.document}
        found = await self._connection.one_answer(command)
        return await self._all(pipeline) if found is None else found


def _with_change_at(environment_id: str, revision: int) -> Document:
    """One of the items that were written at exactly this revision, if there are any."""
    pipeline: list[Document] = [
        {"$match": {"environment": environment_id, "revision": revision}},
        {"$limit": 1},
        {"$project": {_COLLECTION: _HISTORY}},
    ]
    return {"$unionWith": {"coll": _HISTORY, "pipeline": pipeline}}


def _with_those_of(collection: str, query: Document) -> Document:
    pipeline = [
        {"$match": query},
        {"$project": _UNUSED},
        {"$set": {_COLLECTION: collection}},
    ]
    return {"$unionWith": {"coll": collection, "pipeline": pipeline}}


def _definitions(
    environment_id: str,
    *,
    revision: int,
    floor: int,
    flags: list[Document],
    segments: list[Document],
) -> Definitions:
    return Definitions(
        environment_id=environment_id,
        revision=revision,
        floor=floor,
        flags=_alive(flags, flag_of),
        segments=_alive(segments, segment_of),
        deleted_flags=_tombstones(flags, "key", floor),
        deleted_segments=_tombstones(segments, "id", floor),
    )


def _alive(documents: list[Document], decode: Callable[[Document], T]) -> tuple[T, ...]:
    return tuple(decode(document) for document in documents if not document["deleted"])


def _tombstones(documents: list[Document], key: str, floor: int) -> tuple[Tombstone, ...]:
    return tuple(
        Tombstone(document[key], document["revision"])
        for document in documents
        if document["deleted"] and document["revision"] >= floor
    )
