"""A gRPC server with the options, health and reflection that every service has."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from grpc import aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from services.runtime.aio_server import AioServer
from services.runtime.health import Health
from services.runtime.peers import enable_tcp_keepalive, keepalive_options
from services.runtime.settings import ServerKind, ServerSettings
from services.runtime.supervisor_channel import SupervisorChannel

if TYPE_CHECKING:
    from services.runtime.loop_server import LoopServer

log = logging.getLogger(__name__)

HARD_REQUEST_BYTES: Final = 32 * 1024 * 1024
"""Beyond this gRPC itself refuses with RESOURCE_EXHAUSTED; see `ErrorInterceptor`."""

# The defaults cancel calls in a reconnect storm.
OPTIONS: Final[Sequence[tuple[str, Any]]] = (
    ("grpc.max_receive_message_length", HARD_REQUEST_BYTES),
    ("grpc.server.max_pending_requests", 200_000),
    ("grpc.server.max_pending_requests_hard_limit", 400_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.enable_channelz", 0),  # what nobody asks for costs each connection 0.7 KB
    ("grpc.per_message_compression", 0),  # of answers; requests may be compressed
)


KEEPALIVE_SECONDS: Final = 60
"""A peer from which nothing came for so long is asked whether it lives."""


class ListenError(Exception):
    """The address cannot be listened on; the message names it."""


def new_server(
    kind: ServerKind,
    interceptors: Sequence[aio.ServerInterceptor],
    options: Sequence[tuple[str, Any]],
) -> AioServer | LoopServer:
    """Makes one of this kind, with gRPC's channel options; neither listens yet."""
    if kind is ServerKind.AIO:
        return AioServer(interceptors=interceptors, options=options)
    # Here alone: a grpcio whose private core has changed must not keep the other one from serving.
    from services.runtime.loop_server import LoopServer

    return LoopServer(interceptors=interceptors, options=options)


class GrpcServer:
    """Listens with health and reflection, and stops as the designs say.

    ``register`` adds servicers; ``services`` are their full names, for reflection. With a
    ``link`` to a supervisor the port is shared with other workers.
    """

    def __init__(
        self,
        settings: ServerSettings,
        *,
        register: Callable[[aio.Server], None],
        services: Sequence[str],
        interceptors: Sequence[aio.ServerInterceptor] = (),
        link: SupervisorChannel | None = None,
        keepalive: int = KEEPALIVE_SECONDS,
    ) -> None:
        self.health = Health(link)
        self.port = 0
        self._settings = settings
        self._register = register
        self._services = services
        self._interceptors = interceptors
        self._asks_by_kernel = settings.kind is ServerKind.LOOP
        self._options = (
            ("grpc.so_reuseport", int(link is not None)),
            *keepalive_options(keepalive, by_kernel=self._asks_by_kernel),
            *OPTIONS,
        )
        self._keepalive = keepalive
        self._server: AioServer | LoopServer | None = None

    async def start(self) -> None:
        """Listens on return, NOT_SERVING; raises `ListenError`."""
        server = new_server(self._settings.kind, self._interceptors, self._options)
        registrable = cast("aio.Server", server)  # what generated code adds servicers to
        self._register(registrable)
        health_pb2_grpc.add_HealthServicer_to_server(self.health.servicer, registrable)
        names = (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
            reflection.aio.ReflectionServicer(names), registrable
        )
        try:
            self.port = server.add_insecure_port(str(self._settings.listen))
        except RuntimeError as error:
            raise ListenError(f"cannot listen on {self._settings.listen}") from error
        if self._asks_by_kernel:
            self._ask_by_kernel()
        await self.health.open()
        await server.start()
        self._server = server
        log.info(
            "listening on %s:%d (%s)", self._settings.listen.host, self.port, self._settings.kind
        )

    def _ask_by_kernel(self) -> None:
        try:
            enable_tcp_keepalive(self.port, self._keepalive)
        except OSError as error:
            log.warning("peers that vanish are kept until their streams end: %s", error)

    async def drain(self) -> None:
        """NOT_SERVING, then a delay for load balancers to notice."""
        await self.health.drain()
        if self._server is not None:  # else nobody could have called
            await asyncio.sleep(self._settings.drain_delay)

    async def stop(self, within: float | None = None) -> None:
        """No new calls; those under way get ``within`` seconds, or else the drain window.

        Then they are answered with UNAVAILABLE.
        """
        if self._server is None:
            return
        await self._server.stop(self._settings.drain_window if within is None else within)
        self._server = None


def tune_garbage_collector() -> None:
    """Fewer collections with many long-lived streams (15 to 38 % less CPU)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 1_000)
