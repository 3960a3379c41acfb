"""Composes `evaluation`: replicas, streams, remote evaluation, and the intake of events."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from grpc import aio

from featmesh.evaluation.v1 import evaluation_pb2_grpc
from featmesh.messaging.v1 import messaging_pb2
from services.access.tokens import Tokens
from services.evaluation.auth.callers import Callers
from services.evaluation.auth.sdk_keys import SdkKeys
from services.evaluation.broadcast.transport import Route
from services.evaluation.clock import now_ms
from services.evaluation.events.end_users import FLUSH_SECONDS, SeenUsers
from services.evaluation.events.rate_limits import RateLimits
from services.evaluation.events.servicer import InsightsServicer
from services.evaluation.limits import TRACK_BYTES
from services.evaluation.metrics import EvaluationMetrics
from services.evaluation.progress.reports import Reports
from services.evaluation.progress.writer import WRITE_SECONDS, ProgressWriter
from services.evaluation.remote.servicer import EvaluationServicer
from services.evaluation.replica.follower import Follower
from services.evaluation.replica.replica import Replicas
from services.evaluation.settings import LISTEN, EvaluationSettings, read_settings
from services.evaluation.sync.admission import Admission
from services.evaluation.sync.aio_transport import AioTransport
from services.evaluation.sync.revocations import Revocations
from services.evaluation.sync.servicer import SERVICE, SyncServicer
from services.evaluation.sync.stream import StreamDeps
from services.evaluation.sync.timers import TICK_SECONDS, StreamTimers
from services.messaging.ports import Bus, ChangeWatch, Message
from services.messaging.rabbitmq import RabbitMqBus
from services.runtime.backoff import until_available
from services.runtime.config import faults_named
from services.runtime.interceptor import ErrorInterceptor
from services.runtime.metrics import MetricsServer
from services.runtime.program import EXIT_FAILED
from services.runtime.server import GrpcServer, tune_garbage_collector
from services.runtime.settings import ServerKind, address_of, as_worker
from services.runtime.supervisor import Supervisor, worker_command
from services.runtime.supervisor_channel import SupervisorChannel
from services.runtime.tasks import Tasks, repeat
from services.storage.mongodb import MongoStore
from services.storage.ports.store import EvaluationStore

if TYPE_CHECKING:
    from services.evaluation.sync.loop_transport import LoopTransport

log = logging.getLogger(__name__)

MAX_POLL_LAG: Final = 5.0
"""Seconds; with an older poll the service is not ready."""

KEEPALIVE_SECONDS: Final = 900
"""For connections without a stream: heartbeats find a stream's dead peer sooner (decision 12)."""

LAST_CALLS_SECONDS: Final = 1.0
"""For what was called while streams were told to go elsewhere."""

READINESS_SECONDS: Final = 0.5
"""How often it is looked whether the poll is healthy."""

_SERVICES: Final = (
    SERVICE,
    "featmesh.evaluation.v1.EvaluationService",
    "featmesh.insights.v1.InsightsService",
)

_REQUEST_LIMITS: Final = {
    "/featmesh.insights.v1.InsightsService/Track": TRACK_BYTES,
    "/featmesh.insights.v1.InsightsService/Identify": TRACK_BYTES,
}


async def compose() -> EvaluationApp | Supervisor:
    """`evaluation` on its own, as the environment says: one process, or workers."""
    settings = read_settings(os.environ)
    link = SupervisorChannel.from_environment(os.environ)
    if link is None and settings.workers > 1:
        return Supervisor(
            command=worker_command("services.evaluation"),
            variables=os.environ,
            count=settings.workers,
            server=settings.server,
            listen_variable=LISTEN,
        )
    if link is not None:
        settings = replace(settings, server=as_worker(settings.server))
    async with AsyncExitStack() as owned:
        with faults_named("FEATMESH_MONGODB_URI is "):
            store = MongoStore.open(settings.store.uri, database=settings.store.database)
        owned.push_async_callback(store.close)
        with faults_named():
            bus = RabbitMqBus.open(settings.amqp_url)
        owned.push_async_callback(bus.close)
        tune_garbage_collector()
        return EvaluationApp(settings, store, bus, owned=owned.pop_all(), link=link)


class EvaluationApp:
    """The service. ``owned`` is closed at the end of `stop`; a shared store is not owned.

    With a ``link`` it is one of several workers.
    """

    def __init__(
        self,
        settings: EvaluationSettings,
        store: EvaluationStore,
        bus: Bus,
        *,
        owned: AsyncExitStack | None = None,
        link: SupervisorChannel | None = None,
    ) -> None:
        self.tasks = Tasks()
        self._link = link
        self._settings = settings
        self._store = store
        self._bus = bus
        self._owned = owned or AsyncExitStack()
        self._watches: list[ChangeWatch] = []
        self._keys = SdkKeys(store.credentials)
        self._users = SeenUsers(bus, now_ms)
        self._replicas = Replicas(store.definitions)
        self._follower = Follower(self._replicas, store.definitions)
        self._revocations = Revocations(self._keys, store)
        self._reports = Reports(self._replicas, bus)
        self._progress = ProgressWriter(self._replicas, store.progress, str(uuid.uuid4()))
        self.metrics = EvaluationMetrics(self._replicas, self._follower, self._users)
        self._metrics_server = MetricsServer(settings.server.metrics, [self.metrics])
        self._timers = StreamTimers(settings.timer_settings, self._replicas.watchdog)
        self._sync = SyncServicer(
            self._keys,
            self._replicas,
            self._users,
            revocations=self._revocations,
            deps=StreamDeps(self._replicas.watchdog, self._timers, Admission(), now_ms),
        )
        self._server = GrpcServer(
            settings.server,
            register=self._register,
            services=_SERVICES,
            interceptors=[ErrorInterceptor(_REQUEST_LIMITS)],
            link=link,
            keepalive=KEEPALIVE_SECONDS,
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
        """Listens on return; ready while snapshots are current."""
        await self._server.start()
        self._repeat(self._timers.tick, TICK_SECONDS, "pace of the streams")
        if self._link is not None:
            self.tasks.start(self._follow_supervisor(self._link), "supervisor")
        self._metrics_server.start()
        if self._link is not None:
            self._link.report_metrics(self._metrics_server.port)
        self.tasks.start(self._run(), "evaluation")

    async def stop(self) -> None:
        """No longer ready; streams are told to go; calls under way end; users are published."""
        await self._server.drain()
        await self._end_calls()
        await self.tasks.close()
        await self._users.flush()  # before anything that waits for the store
        await self._progress.close()
        await self._follower.close()
        await self._keys.close()
        await self._replicas.close()
        for watch in self._watches:
            await watch.close()
        await self._metrics_server.stop()
        await self._owned.aclose()

    async def _end_calls(self) -> None:
        """Streams and other calls, within one drain window."""
        time_of = asyncio.get_running_loop().time
        window = self._settings.server.drain_window
        end = time_of() + window
        await self._sync.drain(window)
        await self._server.stop(max(end - time_of(), LAST_CALLS_SECONDS))

    def _register(self, server: aio.Server) -> None:
        _transport(self._settings.server.kind, self._sync.routes()).register(server)
        tokens = Tokens(self._store.credentials)
        callers = Callers(self._keys, tokens, self._store.resources)
        evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server(
            EvaluationServicer(callers, self._replicas, self._users, now_ms), server
        )
        rate_limits = RateLimits(self._settings.track_rate, time.monotonic)
        InsightsServicer(self._keys, self._bus, self._reports, rate_limits, now_ms).register(server)

    async def _follow_supervisor(self, link: SupervisorChannel) -> None:
        await link.follow(self._server.health.set_overall)
        # At once, as the supervisor went: a new one needs the port. Streams resume, and events
        # that were not confirmed are sent again.
        log.critical("the supervisor is gone; this worker ends")
        os._exit(EXIT_FAILED)

    async def _run(self) -> None:
        store = f"FEATMESH_MONGODB_URI ({address_of(self._settings.store.uri)})"
        await until_available(self._store.migrate, what=store)
        self._repeat(self._follower.poll, self._settings.poll_interval, "poll of the store")
        self._repeat(self._evict_idle, self._settings.poll_interval, "eviction of idle replicas")
        self._repeat(self._users.flush, FLUSH_SECONDS, "publishing of users")
        self._repeat(self._revocations.look_in_time, 0, "look at SDK keys")
        self._repeat(self._progress.write, WRITE_SECONDS, "progress of streams")
        self._repeat(self._reports.publish, 0, "publishing of reports")
        self._repeat(self._tell_readiness, READINESS_SECONDS, "look at readiness")
        # Last: a broker that does not answer delays none of them.
        self._watches.append(await self._bus.watch_changes(self._on_notice))
        self._watches.append(await self._bus.watch_applied(self._reports.on_report))
        await self._replicas.follow(*self._watches)
        await self._follower.poll()  # what changed before its environment was bound

    async def _on_notice(self, message: Message) -> None:
        if messaging_pb2.ChangeNotice.FromString(message.payload).keys_revoked:
            self._revocations.note()
        else:
            await self._follower.on_notice(message)

    def _repeat(self, work: Callable[[], Awaitable[None]], seconds: float, what: str) -> None:
        self.tasks.start(repeat(work, seconds=seconds, what=what), what)

    async def _evict_idle(self) -> None:
        await self._replicas.evict_idle(self._settings.idle_environment)

    async def _tell_readiness(self) -> None:
        # A healthy poll is enough: without the broker changes come a poll later, not stale.
        if time.monotonic() - self._follower.last_poll < MAX_POLL_LAG:
            await self._server.health.set_serving(True, "snapshots are current")
        else:
            await self._server.health.set_serving(False, "the store does not answer the poll")


def _transport(kind: ServerKind, routes: Mapping[str, Route]) -> AioTransport | LoopTransport:
    """The adapter of the streams' port for this kind of server."""
    if kind is ServerKind.AIO:
        return AioTransport(SERVICE, routes)
    # Here alone, as in `new_server`.
    from services.evaluation.sync.loop_transport import LoopTransport

    return LoopTransport(SERVICE, routes)
