"""Composes `api`: the management services, the bootstrap token, the outbox's relay, and upkeep."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from services.access.tokens import Tokens
from services.api.auth.bootstrap import Bootstrap
from services.api.changes.hooks import CommitHooks
from services.api.jobs.maintenance import Maintenance, Retentions
from services.api.metrics import MEASURE_SECONDS, ApiMetrics
from services.api.outbox.key_notices import KeyNotices
from services.api.outbox.notices import notice_of
from services.api.outbox.relay import Relay
from services.api.registration import REQUEST_LIMITS, SERVICES, registration
from services.api.rpc.dispatch import Dispatcher
from services.messaging.ports import Bus
from services.messaging.rabbitmq import RabbitMqBus
from services.runtime.backoff import until_available
from services.runtime.config import EnvironmentReader, faults_named
from services.runtime.errors import StoreUnavailable
from services.runtime.interceptor import ErrorInterceptor
from services.runtime.metrics import MetricsServer
from services.runtime.server import GrpcServer
from services.runtime.settings import (
    ServerSettings,
    StoreSettings,
    address_of,
    read_amqp_url,
    read_server,
    read_store,
)
from services.runtime.tasks import Tasks, repeat
from services.storage.model.changes import Change, Committed
from services.storage.mongodb import MongoStore
from services.storage.ports.store import Store

DEFAULT_PORT: Final = 7400

RETENTION: Final = timedelta(days=30)

LONGEST_DAYS: Final = 36_500
"""Longest retention of history and audit entries that can be set, in days."""

SHORTEST_AUDIT_DAYS: Final = 365
"""Shortest retention of audit entries that can be set, in days."""

FOR_EVER: Final = Retentions()
LOOK_SECONDS: Final = 2.0
"""How often it is looked whether the database is still the one that it was."""

PING_SECONDS: Final = 2.0
"""How often the store is looked at for readiness."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What `api` needs to know; ``amqp_url`` is empty when the bus is in-process."""

    server: ServerSettings
    store: StoreSettings
    amqp_url: str = ""
    bootstrap_token_file: Path | None = None
    """Takes the administrator's token at the first start, instead of standard output."""
    tombstone_retention: timedelta = RETENTION
    """How old a tombstone gets, and so how long an SDK may be away and still resume."""
    retentions: Retentions = FOR_EVER
    """How long history and audit entries are kept."""


def read_settings(variables: Mapping[str, str]) -> ApiSettings:
    """Raises `ConfigError`."""
    reader = EnvironmentReader(variables)
    settings = ApiSettings(
        server=read_server(reader, "FEATMESH_API_LISTEN", DEFAULT_PORT),
        store=read_store(reader),
        amqp_url=read_amqp_url(reader),
        bootstrap_token_file=read_bootstrap_token_file(reader),
        tombstone_retention=read_tombstone_retention(reader),
        retentions=read_retentions(reader),
    )
    reader.finish()
    return settings


def read_bootstrap_token_file(reader: EnvironmentReader) -> Path | None:
    """``FEATMESH_BOOTSTRAP_TOKEN_FILE``, if set."""
    path = reader.text("FEATMESH_BOOTSTRAP_TOKEN_FILE", "")
    return Path(path) if path else None


def read_tombstone_retention(reader: EnvironmentReader) -> timedelta:
    """``FEATMESH_TOMBSTONE_RETENTION_DAYS``."""
    name, high = "FEATMESH_TOMBSTONE_RETENTION_DAYS", 3_650
    return timedelta(days=reader.integer(name, RETENTION.days, low=1, high=high))


def read_retentions(reader: EnvironmentReader) -> Retentions:
    """``FEATMESH_HISTORY_RETENTION_DAYS`` and ``FEATMESH_AUDIT_RETENTION_DAYS``."""
    history = reader.optional_days("FEATMESH_HISTORY_RETENTION_DAYS", low=1, high=LONGEST_DAYS)
    audit = reader.optional_days(
        "FEATMESH_AUDIT_RETENTION_DAYS", low=SHORTEST_AUDIT_DAYS, high=LONGEST_DAYS
    )
    return Retentions(
        timedelta(days=history) if history else None, timedelta(days=audit) if audit else None
    )


async def compose() -> ApiApp:
    """`api` on its own: MongoDB and RabbitMQ, as the environment says."""
    settings = read_settings(os.environ)
    async with AsyncExitStack() as owned:
        with faults_named("FEATMESH_MONGODB_URI is "):
            store = MongoStore.open(settings.store.uri, database=settings.store.database)
        owned.push_async_callback(store.close)
        with faults_named():
            bus = RabbitMqBus.open(settings.amqp_url)
        owned.push_async_callback(bus.close)
        return ApiApp(settings, store, bus, owned=owned.pop_all())


async def renew_epochs() -> str:
    """After a copy of MongoDB's files was put back: SDKs are to go on from nothing before it.

    What comes of it, for the operator. Raises `ConfigError`, `StoreUnavailable`.
    """
    reader = EnvironmentReader(os.environ)
    settings = read_store(reader)
    reader.finish()
    with faults_named("FEATMESH_MONGODB_URI is "):
        store = MongoStore.open(settings.uri, database=settings.database)
    try:
        renewed = await store.maintenance.renew_epochs()
    finally:
        await store.close()
    return (
        f"{renewed} environments have a new epoch. Running evaluations find out within seconds; "
        "every SDK is then sent what is stored."
    )


class ApiApp:
    """The service. ``owned`` is closed at the end of `stop`; a shared store is not owned."""

    def __init__(
        self,
        settings: ApiSettings,
        store: Store,
        bus: Bus,
        *,
        owned: AsyncExitStack | None = None,
    ) -> None:
        self.tasks = Tasks()
        self._settings = settings
        self._store = store
        self._owned = owned or AsyncExitStack()
        self._relay = Relay(store.outbox, bus)
        self._key_notices = KeyNotices(bus)
        self._maintenance = Maintenance(
            store.maintenance, settings.tombstone_retention, settings.retentions
        )
        self.metrics = ApiMetrics(store.outbox)
        self._metrics_server = MetricsServer(settings.server.metrics, [self.metrics])
        self._bootstrap = Bootstrap(store, settings.bootstrap_token_file)
        self._migrated = asyncio.Event()
        self._server = GrpcServer(
            settings.server,
            register=registration(
                store,
                bus,
                self._hooks(),
                Dispatcher(Tokens(store.credentials), store.resources, self._migrated.is_set),
            ),
            services=SERVICES,
            interceptors=[ErrorInterceptor(REQUEST_LIMITS)],
        )

    @property
    def port(self) -> int:
        """The port that is listened on; 0 before `start`."""
        return self._server.port

    @property
    def stop_seconds(self) -> float:
        """How long `stop` may take."""
        return self._settings.server.stop_seconds

    async def start(self) -> None:
        """Listens on return; ready while the store answers, whether or not the broker does."""
        await self._server.start()
        self._metrics_server.start()
        self.tasks.start(self._run(), "api")

    async def stop(self) -> None:
        """Calls under way end first, then their changes are announced, then the rest closes."""
        await self._server.drain()
        await self._server.stop()
        await self.tasks.close()
        if self._migrated.is_set():
            await self._relay.drain()
            await self._maintenance.release()
        await self._metrics_server.stop()
        await self._owned.aclose()

    def _hooks(self) -> CommitHooks:
        return CommitHooks(
            committed=self._committed,
            key_revoked=self._key_notices.wake,
            environment_deleted=self._maintenance.wake,
        )

    async def _committed(self, change: Change, committed: Committed) -> None:
        self.metrics.committed()
        await self._relay.announce(notice_of(change, committed))

    async def _run(self) -> None:
        store = f"FEATMESH_MONGODB_URI ({address_of(self._settings.store.uri)})"
        await until_available(self._store.migrate, what=store)
        await until_available(self._bootstrap.run, what=store)
        self._migrated.set()
        self.tasks.start(self._key_notices.run(), "notices of revoked keys")
        self.tasks.start(self._relay.run(), "relay")
        self.tasks.start(self._maintenance.run(), "upkeep")
        measure = repeat(self.metrics.measure, seconds=MEASURE_SECONDS, what="look at the outbox")
        self.tasks.start(measure, "metrics")
        look = self._maintenance.renew_epochs_if_moved
        watch = repeat(look, seconds=LOOK_SECONDS, what="look at where the data is")
        self.tasks.start(watch, "watch for a restored database")
        await self._follow_readiness()

    async def _follow_readiness(self) -> None:
        health = self._server.health
        while True:
            try:
                await self._store.ping()
            except StoreUnavailable as error:
                await health.set_serving(False, error.message)
            else:
                await health.set_serving(True, "the store answers")
            await asyncio.sleep(PING_SECONDS)
