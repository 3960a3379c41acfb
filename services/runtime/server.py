"""A gRPC server with the options, health and reflection that every service has."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from grpc import aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from services.runtime.health import Health
from services.runtime.loop_server import LoopServer
from services.runtime.peers import enable_tcp_keepalive, keepalive_options
from services.runtime.settings import ServerSettings
from services.runtime.supervisor_channel import SupervisorChannel

log = logging.getLogger(__name__)

HARD_REQUEST_BYTES: Final = 32 * 1024 * 1024
"""Beyond this gRPC itself refuses with RESOURCE_EXHAUSTED; see `ErrorInterceptor`."""

# The defaults cancel calls in a reconnect storm: ../shared/design/sync.md, server settings.
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
        self._options = (
            ("grpc.so_reuseport", int(link is not None)),
            *keepalive_options(keepalive),
            *OPTIONS,
        )
        self._keepalive = keepalive
        self._server: LoopServer | None = None

    async def start(self) -> None:
        """Listens on return, NOT_SERVING; raises `ListenError`."""
        server = LoopServer(interceptors=self._interceptors, options=self._options)
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
        try:
            enable_tcp_keepalive(self.port, self._keepalive)
        except OSError as error:
            log.warning("peers that vanish are kept until their streams end: %s", error)
        await self.health.open()
        await server.start()
        self._server = server
        log.info("listening on %s:%d", self._settings.listen.host, self.port)

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
    """Fewer collections with many long-lived streams (15 to 38 % less CPU; sync.md)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 1_000)
