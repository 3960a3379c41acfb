"""Flags and segments as operators see them, and their audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TypeVar
from weakref import WeakValueDictionary

from services.runtime.errors import NotFound
from services.storage.model.changes import AuditEntry, Change, Committed, Request
from services.storage.model.items import FlagRecord, ItemVersion, SegmentRecord
from services.storage.model.pages import Page
from services.storage.mongodb.driver.client import Connection, Document, Part, require
from services.storage.mongodb.driver.errors import translated
from services.storage.mongodb.driver.paging import BY_KEY, Order, read_page
from services.storage.mongodb.resources.commit import Commit
from services.storage.mongodb.resources.documents import flag_record, segment_record
from services.storage.mongodb.resources.history import find_committed, get_version, list_versions
from services.storage.mongodb.resources.writes import FLAG, SEGMENT

T = TypeVar("T")

_NEWEST_FIRST = Order(("revision", "position"), (int, int), descending=True)


class MongoItems(Part):
    """`ItemStore` on MongoDB."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @translated
    async def get_flag(self, environment_id: str, key: str) -> FlagRecord:
        return flag_record(await self._get("flags", environment_id, key))

    @translated
    async def get_segment(self, environment_id: str, key: str) -> SegmentRecord:
        return segment_record(await self._get("segments", environment_id, key))

    @translated
    async def find_flags(self, environment_id: str, keys: Collection[str]) -> list[FlagRecord]:
        return await self._find("flags", environment_id, keys, flag_record)

    @translated
    async def find_segments(
        self, environment_id: str, keys: Collection[str]
    ) -> list[SegmentRecord]:
        return await self._find("segments", environment_id, keys, segment_record)

    @translated
    async def list_flags(
        self, environment_id: str, size: int, token: str, *, include_archived: bool, tag: str
    ) -> Page[FlagRecord]:
        await require(self._connection, "environments", environment_id)
        return await read_page(
            self._connection["flags"],
            _listed(environment_id, include_archived=include_archived, tag=tag),
            order=BY_KEY,
            size=size,
            token=token,
            decode=flag_record,
        )

    @translated
    async def list_segments(
        self, environment_id: str, size: int, token: str, *, include_archived: bool, tag: str
    ) -> Page[SegmentRecord]:
        await require(self._connection, "environments", environment_id)
        return await read_page(
            self._connection["segments"],
            _listed(environment_id, include_archived=include_archived, tag=tag),
            order=BY_KEY,
            size=size,
            token=token,
            decode=segment_record,
        )

    @translated
    async def commit(self, change: Change) -> Committed:
        # MongoDB refuses the second of two at once, which must begin again; so those of this
        # process take turns. Between processes the retries of the transaction do.
        turn = self._turns.setdefault(change.environment_id, asyncio.Lock())
        async with turn:
            return await self._connection.transactions.run_in_thread(
                Commit(self._connection.blocking, change).run,
                validate_only=change.request.validate_only,
            )

    @translated
    async def find_committed(self, environment_id: str, request: Request) -> Committed | None:
        return await find_committed(self._connection, environment_id, request)

    @translated
    async def list_flag_versions(
        self, environment_id: str, key: str, size: int, token: str
    ) -> Page[ItemVersion[FlagRecord]]:
        return await list_versions(self._connection, environment_id, (FLAG, key), size, token)

    @translated
    async def list_segment_versions(
        self, environment_id: str, key: str, size: int, token: str
    ) -> Page[ItemVersion[SegmentRecord]]:
        return await list_versions(self._connection, environment_id, (SEGMENT, key), size, token)

    @translated
    async def get_flag_version(
        self, environment_id: str, key: str, version: int
    ) -> ItemVersion[FlagRecord]:
        return await get_version(self._connection, environment_id, (FLAG, key), version)

    @translated
    async def get_segment_version(
        self, environment_id: str, key: str, version: int
    ) -> ItemVersion[SegmentRecord]:
        return await get_version(self._connection, environment_id, (SEGMENT, key), version)

    @translated
    async def list_audit_entries(
        self, environment_id: str, size: int, token: str, *, resource: str
    ) -> Page[AuditEntry]:
        await require(self._connection, "environments", environment_id)
        query = {"environment": environment_id}
        return await read_page(
            self._connection["audit_log"],
            query | ({"resource": resource} if resource else {}),
            order=_NEWEST_FIRST,
            size=size,
            token=token,
            decode=_audit_entry_of,
        )

    async def _get(self, collection: str, environment_id: str, key: str) -> Document:
        query = {"environment": environment_id, "key": key, "deleted": False}
        document = await self._connection[collection].find_one(query)
        if document is None:
            await require(self._connection, "environments", environment_id)  # else say that
            raise NotFound(f"{collection.removesuffix('s')} {key!r} does not exist")
        return document

    async def _find(
        self,
        collection: str,
        environment_id: str,
        keys: Collection[str],
        decode: Callable[[Document], T],
    ) -> list[T]:
        query = {"environment": environment_id, "key": {"$in": list(keys)}, "deleted": False}
        return [decode(document) async for document in self._connection[collection].find(query)]


def _listed(environment_id: str, *, include_archived: bool, tag: str) -> Document:
    query: Document = {"environment": environment_id, "deleted": False}
    if not include_archived:
        query["archived"] = False
    if tag:
        query["tags"] = tag
    return query


def _audit_entry_of(document: Document) -> AuditEntry:
    return AuditEntry(
        id=document["_id"],
        time=document["time"],
        actor=document["actor"],
        resource=document["resource"],
        operation=document["operation"],
        comment=document["comment"],
        revision=document["revision"],
        before=document["before"],
        after=document["after"],
    )
