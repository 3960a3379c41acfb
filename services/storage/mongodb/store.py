"""The adapter's front: all ports over one connection."""

from __future__ import annotations

import asyncio

from services.runtime.errors import StoreUnavailable
from services.storage.mongodb.driver.client import Clock, Connection, utc_now
from services.storage.mongodb.driver.errors import translating
from services.storage.mongodb.events.store import MongoInsights
from services.storage.mongodb.maintenance import MongoMaintenance
from services.storage.mongodb.migrations import migrate
from services.storage.mongodb.outbox import MongoOutbox
from services.storage.mongodb.progress import MongoProgress
from services.storage.mongodb.reports.end_user_search import MongoEndUsers
from services.storage.mongodb.reports.store import MongoReports
from services.storage.mongodb.resources.credentials import MongoCredentials
from services.storage.mongodb.resources.definitions import MongoDefinitions
from services.storage.mongodb.resources.store import MongoResources
from services.storage.ports.credentials import CredentialStore
from services.storage.ports.definitions import DefinitionStore
from services.storage.ports.end_users import EndUserStore
from services.storage.ports.events import EventStore
from services.storage.ports.maintenance import MaintenanceStore
from services.storage.ports.outbox import OutboxStore
from services.storage.ports.progress import ProgressStore
from services.storage.ports.reports import ReportStore
from services.storage.ports.resources import Resources

PING_SECONDS = 2.0


class MongoStore:
    """`services.storage.ports.Store` on a MongoDB replica set (6.0 or later)."""

    resources: Resources
    credentials: CredentialStore
    definitions: DefinitionStore
    outbox: OutboxStore
    maintenance: MaintenanceStore
    insights: EventStore
    end_users: EndUserStore
    reports: ReportStore
    progress: ProgressStore

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.resources = MongoResources(connection)
        self.credentials = MongoCredentials(connection)
        self.definitions = MongoDefinitions(connection)
        self.outbox = MongoOutbox(connection)
        self.maintenance = MongoMaintenance(connection)
        self.insights = MongoInsights(connection)
        self.end_users = MongoEndUsers(connection)
        self.reports = MongoReports(connection)
        self.progress = MongoProgress(connection)

    @classmethod
    def open(cls, uri: str, *, database: str = "featmesh", clock: Clock = utc_now) -> MongoStore:
        """A store on ``uri``, without any I/O; calls fail within seconds while it is down.

        Raises ValueError, without the URI's text in it, when that is malformed.
        """
        return cls(Connection(uri, database, clock))

    @property
    def address(self) -> str:
        """Hosts and ports of the store, without credentials."""
        return self._connection.address

    async def migrate(self) -> None:
        with translating(self.address):
            await migrate(self._connection)

    async def ping(self) -> None:
        try:
            async with asyncio.timeout(PING_SECONDS):
                with translating(self.address):
                    await self._connection.database.command("ping")
        except TimeoutError:
            message = f"MongoDB at {self.address} does not answer within {PING_SECONDS:.0f} s"
            raise StoreUnavailable(message) from None

    async def drop(self) -> None:
        """Delete the whole database, for good."""
        with translating(self.address):
            await self._connection.client.drop_database(self._connection.database.name)

    async def close(self) -> None:
        await self._connection.close()
