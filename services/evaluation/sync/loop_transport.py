"""`LoopServer` as the carrier of streams: bytes pass through, no message is serialised for one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc import aio

from services.evaluation.broadcast.transport import Opening, Route
from services.runtime.loop_server.call import Call, CallEnded


class LoopTransport:
    """Adds a service whose methods are server streams of bytes.

    ``routes`` are by method name. A `Call` is the wire; what a handler raises becomes a status
    in the server's `ErrorInterceptor`.
    """

    def __init__(self, service: str, routes: Mapping[str, Route]) -> None:
        self._service = service
        self._routes = routes

    def register(self, server: aio.Server) -> None:
        """Has the server, a `LoopServer`, carry the routes."""
        handlers: dict[str, Any] = {
            method: grpc.unary_stream_rpc_method_handler(_behaviour(route), route.decode, None)
            for method, route in self._routes.items()
        }
        generic = grpc.method_handlers_generic_handler(self._service, handlers)
        server.add_generic_rpc_handlers((generic,))


def _behaviour(route: Route) -> Callable[[Any, Call], Awaitable[None]]:
    async def open_stream(request: Any, call: Call) -> None:
        try:
            await route.handler(Opening(request, call.invocation_metadata()), call)
        except CallEnded as error:
            raise asyncio.CancelledError from error

    return open_stream
