"""The adapters of the transport port, each behind the same way to serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, cast

from grpc import aio

from services.evaluation.broadcast.transport import Route
from services.evaluation.sync.grpc_transport import GrpcTransport
from services.runtime.interceptor import ErrorInterceptor
from services.runtime.loop_server import LoopServer
from services.runtime.server import OPTIONS

SERVICE: Final = "featmesh.test.v1.Frames"

Serve = Callable[[Mapping[str, Route]], AbstractAsyncContextManager[int]]
"""Carries the routes of `SERVICE` on a free port of 127.0.0.1, which it yields."""


@asynccontextmanager
async def over_grpc(routes: Mapping[str, Route]) -> AsyncIterator[int]:
    """As `services.runtime.server` serves it."""
    server = LoopServer(interceptors=[ErrorInterceptor()], options=OPTIONS)
    GrpcTransport(SERVICE, routes).register(cast("aio.Server", server))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


ADAPTERS: Final[Mapping[str, Serve]] = {"grpc": over_grpc}
