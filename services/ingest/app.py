"""Composes `ingest`: consumers of users and insights, and a server for health alone."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence, Sized
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from services.ingest.circuit_breaker import REFUSALS, CircuitBreaker
from services.ingest.insights import decode_insights
from services.ingest.metrics import MEASURE_SECONDS, IngestMetrics
from services.ingest.micro_batches import Bounds, MicroBatches
from services.ingest.users import decode_users
from services.messaging.ports import Bus, Consumer, Handler, Message, Topic
from services.messaging.rabbitmq import RabbitMqBus
from services.runtime.backoff import until_available
from services.runtime.config import EnvironmentReader, faults_named
from services.runtime.metrics import MetricsServer
from services.runtime.server import GrpcServer, tune_garbage_collector
from services.runtime.settings import (
    ServerSettings,
    StoreSettings,
    address_of,
    read_amqp_url,
    read_server,
    read_store,
)
from services.runtime.tasks import Tasks, repeat
from services.storage.model.events import InsightBatch
from services.storage.mongodb import MongoStore
from services.storage.ports.store import IngestStore

log = logging.getLogger(__name__)

T = TypeVar("T", bound=Sized)

DEFAULT_PORT: Final = 7402
DEFAULT_PREFETCH: Final = 200
DEFAULT_TRANSACTION_EVENTS: Final = 10_000
DEFAULT_LINGER_MS: Final = 500

USERS_TOGETHER: Final = 1_000
"""Users that are stored together; a single message may have as many alone."""

GROUPS: Final = 2
"""Of events under way at once: while MongoDB works on one, the next is made ready."""

PROBE_SECONDS: Final = 1.0
"""How often store and broker are looked at for readiness."""


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """What `ingest` needs to know; ``amqp_url`` is empty when the bus is in-process."""

    server: ServerSettings
    store: StoreSettings
    amqp_url: str = ""
    prefetch: int = DEFAULT_PREFETCH
    """Messages of each topic under way at once."""
    transaction_events: int = DEFAULT_TRANSACTION_EVENTS
    """Events that are stored together at the most; a single batch may have more."""
    linger: float = DEFAULT_LINGER_MS / 1_000
    """Seconds that events wait for others to be stored with."""


def read_settings(variables: Mapping[str, str]) -> IngestSettings:
    """Raises `ConfigError`."""
    reader = EnvironmentReader(variables)
    settings = IngestSettings(
        server=read_server(reader, "FEATMESH_INGEST_LISTEN", DEFAULT_PORT),
        store=read_store(reader),
        amqp_url=read_amqp_url(reader),
        prefetch=reader.integer("FEATMESH_INGEST_PREFETCH", DEFAULT_PREFETCH, low=1, high=10_000),
        transaction_events=reader.integer(
            "FEATMESH_INGEST_TRANSACTION_EVENTS", DEFAULT_TRANSACTION_EVENTS, low=1, high=100_000
        ),
        linger=reader.integer(
            "FEATMESH_INGEST_LINGER_MILLISECONDS", DEFAULT_LINGER_MS, low=0, high=5_000
        )
        / 1_000,
    )
    reader.finish()
    return settings


async def compose() -> IngestApp:
    """`ingest` on its own: MongoDB and RabbitMQ, as the environment says."""
    settings = read_settings(os.environ)
    async with AsyncExitStack() as owned:
        with faults_named("FEATMESH_MONGODB_URI is "):
            store = MongoStore.open(settings.store.uri, database=settings.store.database)
        owned.push_async_callback(store.close)
        with faults_named():
            bus = RabbitMqBus.open(settings.amqp_url)
        owned.push_async_callback(bus.close)
        tune_garbage_collector()
        return IngestApp(settings, store, bus, owned=owned.pop_all())


class IngestApp:
    """The service. ``owned`` is closed at the end of `stop`; a shared store is not owned."""

    def __init__(
        self,
        settings: IngestSettings,
        store: IngestStore,
        bus: Bus,
        *,
        owned: AsyncExitStack | None = None,
    ) -> None:
        self.tasks = Tasks()
        self._settings = settings
        self._store = store
        self._bus = bus
        self._owned = owned or AsyncExitStack()
        self._gate = CircuitBreaker(store.ping)
        self.metrics = IngestMetrics(bus)
        self._metrics_server = MetricsServer(settings.server.metrics, [self.metrics])
        self._consumers: list[Consumer] = []
        self._gatherings: list[MicroBatches[Any]] = []
        self._server = GrpcServer(settings.server, register=lambda _: None, services=())

    @property
    def port(self) -> int:
        """The port that health is served on; 0 before `start`."""
        return self._server.port

    @property
    def stop_seconds(self) -> float:
        """How long `stop` may take."""
        return self._settings.server.stop_seconds

    async def start(self) -> None:
        """Listens on return; ready once the store is reached and the bus consumes."""
        await self._server.start()
        self._metrics_server.start()
        self.tasks.start(self._run(), "ingest")

    async def stop(self) -> None:
        """Handlers under way finish first; then the server, then what is owned.

        There is no delay for load balancers: nobody calls this service.
        """
        await self._server.health.drain()
        await self.tasks.close()
        await asyncio.gather(*(consumer.close() for consumer in self._consumers))
        await asyncio.gather(*(gathering.close() for gathering in self._gatherings))
        await self._server.stop()
        await self._metrics_server.stop()
        await self._owned.aclose()

    async def _run(self) -> None:
        store = f"FEATMESH_MONGODB_URI ({address_of(self._settings.store.uri)})"
        await until_available(self._store.migrate, what=store)
        await self._consume(Topic.USERS, self._take_users())
        await self._consume(Topic.INSIGHTS, self._take_insights())
        measure = repeat(
            self.metrics.measure, seconds=MEASURE_SECONDS, what="count of dead letters"
        )
        self.tasks.start(measure, "metrics")
        await self._follow_readiness()

    def _take_users(self) -> Handler:
        """Takes users, who are stored with those of other messages."""
        settings = self._settings
        bounds = Bounds(USERS_TOGETHER, settings.prefetch, settings.linger)
        together = self._gather(self._store.insights.store_observations, bounds)
        return lambda message: together.put(decode_users(message.payload))

    def _take_insights(self) -> Handler:
        """Takes events, which are stored with those of other messages."""
        settings = self._settings
        messages = max(1, settings.prefetch // GROUPS)
        bounds = Bounds(settings.transaction_events, messages, settings.linger, GROUPS)
        together = self._gather(self._store_insights, bounds)
        turn = asyncio.Lock()

        async def take(message: Message) -> None:
            async with turn:  # hundreds may come at once, and a transaction waits for its next step
                batch = decode_insights(message.payload)
                await asyncio.sleep(0)
            await together.put(batch)

        return take

    async def _store_insights(self, batches: Sequence[InsightBatch]) -> None:
        stored = await self._store.insights.store_insights(batches)
        if stored < len(batches):
            log.debug("%d batches were stored before", len(batches) - stored)

    def _gather(
        self, store: Callable[[Sequence[T]], Awaitable[None]], bounds: Bounds
    ) -> MicroBatches[T]:
        """Micro-batches that wait while the store is away."""

        async def pass_on(items: Sequence[T]) -> None:
            # Of several, the first refusal is enough to try each alone.
            limit = REFUSALS if len(items) == 1 else 1
            await self._gate.passes(lambda: store(items), limit=limit)

        together = MicroBatches(pass_on, len, bounds)
        self._gatherings.append(together)
        return together

    async def _consume(self, topic: Topic, handler: Handler) -> None:
        broker = f"FEATMESH_AMQP_URL ({address_of(self._settings.amqp_url)})"
        consumer = await until_available(
            lambda: self._bus.consume(
                topic, self.metrics.counted(topic, handler), prefetch=self._settings.prefetch
            ),
            what=broker,
        )
        self._consumers.append(consumer)

    async def _follow_readiness(self) -> None:
        while True:
            await self._gate.probe()
            if self._gate.fault:
                await self._server.health.set_serving(False, self._gate.fault)
            elif self._bus.healthy:
                await self._server.health.set_serving(True, "store reached, bus healthy")
            else:
                await self._server.health.set_serving(False, "the broker is away")
            await asyncio.sleep(PROBE_SECONDS)
