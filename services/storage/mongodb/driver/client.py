"""The driver's client with everything that all parts of the adapter share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, cast
from urllib.parse import parse_qsl

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo.errors import InvalidURI, PyMongoError

from services.runtime.errors import NotFound
from services.storage.mongodb.driver.blocking import BlockingCollection
from services.storage.mongodb.driver.transactions import Session, Transactions

Document = dict[str, Any]
Clock = Callable[[], datetime]
Collection = AsyncIOMotorCollection[Document]

_DEFAULTS: dict[str, Any] = {
    "appname": "featmesh",
    "serverselectiontimeoutms": 2_000,
    "connecttimeoutms": 2_000,
    "sockettimeoutms": 20_000,
    "waitqueuetimeoutms": 5_000,
    "maxpoolsize": 64,
    "retrywrites": True,
    "w": "majority",
}
"""Bounds on every wait; an option in the URI goes before ours."""


LOOK_SECONDS = 2.0
"""Bound of reads that are made all the time: a later one is worth more than a slow one."""

_ONE_BATCH = 1_000_000
"""More documents than an answer of 16 MiB holds."""


def utc_now() -> datetime:
    """The system clock."""
    return datetime.now(UTC)


class Connection:
    """One client, one database, one clock."""

    def __init__(self, uri: str, database: str, clock: Clock) -> None:
        self.client = _client(uri)
        self.database = self.client[database]
        self.address = address_of(uri)
        self.transactions = Transactions(self.client, self.address)
        self._clock = clock
        self._collections: dict[str, Collection] = {}

    @cached_property
    def blocking(self) -> Connection:
        """For the bodies of `Transactions.run_in_thread`, and for nothing else."""
        return _BlockingConnection(self)

    def now(self) -> datetime:
        """The clock's time as MongoDB can hold it: UTC, in whole milliseconds."""
        return whole_milliseconds(self._clock())

    def __getitem__(self, collection: str) -> Collection:
        known = self._collections.get(collection)
        if known is None:  # the driver takes 8 us to make one
            known = self._collections[collection] = self._open(collection)
        return known

    def _open(self, collection: str) -> Collection:
        return self.database[collection]

    async def one_answer(self, command: Document) -> list[Document] | None:
        """What ``command``, a find or an aggregate, finds; None if one answer does not hold it.

        Sooner and for less than with the driver's cursor, and not repeated by the driver.
        """
        batch = {"batchSize": _ONE_BATCH}
        bounds: Document = {"cursor": batch} if "aggregate" in command else batch
        answer: Document = await self.database.command({**command, **bounds})
        cursor = answer["cursor"]
        documents: list[Document] = cursor["firstBatch"]
        return None if cursor["id"] else documents

    async def find_all(
        self, collection: str, query: Document, projection: Document
    ) -> list[Document]:
        """For reads that are made all the time: `one_answer`, or else a cursor."""
        command = {"find": collection, "filter": query, "projection": projection}
        found = await self.one_answer(command)
        if found is not None:
            return found
        return await self[collection].find(query, projection).to_list(None)

    async def close(self) -> None:
        await self.transactions.close()
        await asyncio.to_thread(self.client.close)


class _BlockingConnection(Connection):
    """A view whose collections are done when they return."""

    def __init__(self, connection: Connection) -> None:
        self.client = connection.client
        self.database = connection.database
        self.address = connection.address
        self.transactions = connection.transactions
        self._clock = connection._clock
        self._collections = {}

    def _open(self, collection: str) -> Collection:
        return cast("Collection", BlockingCollection(self.database.delegate[collection]))


class Part:
    """One port's adapter: a view of the shared connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def address(self) -> str:
        """Hosts and ports, without credentials."""
        return self._connection.address


def address_of(uri: str) -> str:
    """Hosts and ports of a valid connection string, without credentials or options."""
    authority = uri.partition("://")[2].partition("/")[0].partition("?")[0]
    return authority.rpartition("@")[2]


def whole_milliseconds(time: datetime) -> datetime:
    """The same time in UTC, cut to the milliseconds that MongoDB keeps."""
    utc = time.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


async def require(
    connection: Connection, collection: str, document_id: str, session: Session | None = None
) -> Document:
    """The document; raises `NotFound` when it is not there."""
    document = await connection[collection].find_one({"_id": document_id}, session=session)
    if document is None:
        raise NotFound(f"{collection.removesuffix('s')} {document_id!r} does not exist")
    return document


def milliseconds(connection: Connection) -> int:
    """The clock's time in milliseconds since the epoch."""
    return round(connection.now().timestamp() * 1000)


def _client(uri: str) -> AsyncIOMotorClient[Document]:
    given = {name.lower() for name, _ in parse_qsl(uri.partition("?")[2])}
    options = {name: value for name, value in _DEFAULTS.items() if name not in given}
    try:
        if not uri.startswith(("mongodb://", "mongodb+srv://")):
            raise InvalidURI
        return AsyncIOMotorClient(uri, tz_aware=True, tzinfo=UTC, **options)
    except (PyMongoError, ValueError) as error:
        # The driver's text may quote a part of a malformed URI, and so of a password.
        message = f"not a valid MongoDB connection string ({type(error).__name__})"
        raise ValueError(message) from None
