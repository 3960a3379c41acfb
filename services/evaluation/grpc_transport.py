"""grpcio as the carrier of streams: bytes pass through, no message is serialised for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from grpc import aio

from services.evaluation.transport import Handler, Opening
from services.runtime.interceptor import Context


@dataclass(frozen=True, slots=True)
class Route:
    """Where a method's streams go."""

    decode: Callable[[bytes], Any]
    handler: Handler


class GrpcTransport:
    """Adds a service whose methods are server streams of bytes.

    ``routes`` are by method name. What a handler raises becomes a status in the server's
    `ErrorInterceptor`.
    """

    def __init__(self, service: str, routes: Mapping[str, Route]) -> None:
        self._service = service
        self._routes = routes

    def register(self, server: aio.Server) -> None:
        """Has the server carry the routes."""
        handlers: dict[str, Any] = {
            method: grpc.unary_stream_rpc_method_handler(_behaviour(route), route.decode, None)
            for method, route in self._routes.items()
        }
        generic = grpc.method_handlers_generic_handler(self._service, handlers)
        server.add_generic_rpc_handlers((generic,))


class GrpcWire:
    """See `Wire`."""

    __slots__ = ("offer",)

    def __init__(self, context: Context) -> None:
        self.offer: Callable[[bytes], Awaitable[None]] = context.write


def _behaviour(route: Route) -> Callable[[Any, Context], Awaitable[None]]:
    async def open_stream(request: Any, context: Context) -> None:
        opening = Opening(request, context.invocation_metadata())
        await route.handler(opening, GrpcWire(context))

    return open_stream
