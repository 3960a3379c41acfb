"""The adapters of the transport port, each behind the same way to serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final, cast

from grpc import aio

from services.evaluation.broadcast.transport import Route
from services.evaluation.sync.aio_transport import AioTransport
from services.evaluation.sync.loop_transport import LoopTransport
from services.runtime.interceptor import ErrorInterceptor
from services.runtime.server import OPTIONS, new_server
from services.runtime.settings import ServerKind

SERVICE: Final = "featmesh.test.v1.Frames"

Serve = Callable[[Mapping[str, Route]], AbstractAsyncContextManager[int]]
"""Carries the routes of `SERVICE` on a free port of 127.0.0.1, which it yields."""


@asynccontextmanager
async def _serve(
    kind: ServerKind, transport: type[AioTransport | LoopTransport], routes: Mapping[str, Route]
) -> AsyncIterator[int]:
    """As `services.runtime.server` serves it."""
    server = new_server(kind, [ErrorInterceptor()], OPTIONS)
    transport(SERVICE, routes).register(cast("aio.Server", server))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


ADAPTERS: Final[Mapping[str, Serve]] = {
    "aio": partial(_serve, ServerKind.AIO, AioTransport),
    "loop": partial(_serve, ServerKind.LOOP, LoopTransport),
}
