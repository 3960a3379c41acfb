"""All resources, and the one way to write them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from weakref import WeakValueDictionary

from services.storage.model.changes import AuditEntry, Change, Committed, WriteOptions
from services.storage.model.pages import Page
from services.storage.model.queries import AuditQuery, Query
from services.storage.model.resource import Ancestry, Kind, R, Stored, Version
from services.storage.mongodb.driver.client import Connection, Document, Part
from services.storage.mongodb.driver.errors import translated
from services.storage.mongodb.resources.audit import list_entries
from services.storage.mongodb.resources.codecs import key_query, scope_filter, stored_of
from services.storage.mongodb.resources.commit import Commit
from services.storage.mongodb.resources.history import find_committed, get_version, list_versions
from services.storage.mongodb.resources.lists import list_resources
from services.storage.mongodb.resources.scopes import Scopes, level_of, missing, require_scope


class MongoResources(Part):
    """`Resources` on MongoDB."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._scopes = Scopes(connection)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @translated
    async def get(self, kind: Kind[R], scope_id: str, key: str) -> Stored[R]:
        document = await self._find_one(kind, key_query(kind, scope_id, [key]))
        if document is None and kind.key_of:
            own = f"{scope_id}/{key}" if kind.local_id else key
            document = await self._find_one(kind, {**scope_filter(kind, scope_id), "_id": own})
        if document is None:
            await require_scope(self._connection, level_of(kind, scope_id), scope_id)
            raise missing(kind, key)  # the scope is there, else it says that
        return stored_of(kind, document)

    @translated
    async def get_by_id(self, kind: Kind[R], resource_id: str) -> Stored[R]:
        alive = {"deleted": False} if kind.synced else {}
        document = await self._find_one(kind, {"_id": resource_id, **alive})
        if document is None:
            raise missing(kind, resource_id)
        return stored_of(kind, document)

    @translated
    async def find(self, kind: Kind[R], scope_id: str, keys: Collection[str]) -> list[Stored[R]]:
        cursor = self._connection[kind.collection].find(key_query(kind, scope_id, keys))
        return [stored_of(kind, document) async for document in cursor]

    @translated
    async def list(self, kind: Kind[R], scope_id: str, query: Query) -> Page[Stored[R]]:
        return await list_resources(self._connection, kind, scope_id, query)

    @translated
    async def commit(self, change: Change) -> Committed:
        # MongoDB refuses the second of two at once, which must begin again; so those of this
        # process take turns. Between processes the retries of the transaction do.
        turn = self._turns.setdefault(change.scope_id, asyncio.Lock())
        async with turn:
            return await self._connection.transactions.run_in_thread(
                Commit(self._connection.blocking, change).run,
                validate_only=change.options.validate_only,
            )

    @translated
    async def find_committed(self, scope_id: str, options: WriteOptions) -> Committed | None:
        return await find_committed(self._connection, scope_id, options)

    @translated
    async def history(
        self, kind: Kind[R], scope_id: str, key: str, size: int, token: str
    ) -> Page[Version[R]]:
        return await list_versions(self._connection, kind, scope_id, key, (size, token))

    @translated
    async def version(self, kind: Kind[R], scope_id: str, key: str, version: int) -> Version[R]:
        return await get_version(self._connection, kind, scope_id, key, version)

    @translated
    async def list_audit_entries(self, query: AuditQuery) -> Page[AuditEntry]:
        scope = await self._scopes.ancestry(query.scope_id)
        return await list_entries(self._connection, query, scope)

    @translated
    async def ancestry(self, scope_id: str) -> Ancestry:
        return await self._scopes.ancestry(scope_id)

    @translated
    async def resolve(
        self, organization: str, project: str = "", environment: str = ""
    ) -> Ancestry:
        names = [organization, project, environment]
        while names and not names[-1]:
            names.pop()
        return await self._scopes.resolve(names)

    async def _find_one(self, kind: Kind[R], query: Document) -> Document | None:
        return await self._connection[kind.collection].find_one(query)
