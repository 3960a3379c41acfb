"""grpcio as the carrier of streams: bytes pass through, no message is serialised for one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc import aio

from services.evaluation.transport import Opening, Route
from services.runtime.interceptor import Context


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

    __slots__ = ("_context", "offer")

    def __init__(self, context: Context) -> None:
        self._context = context
        self.offer: Callable[[bytes], Awaitable[None]] = self._offer_first

    async def _offer_first(self, frame: bytes) -> None:
        # Headers apart from the first frame: grpcio sends them once more with the status as long
        # as that frame is not taken, and fails, so that a stuck reader would never be told.
        self.offer = self._context.write
        await self._context.send_initial_metadata(())
        await self._context.write(frame)


def _behaviour(route: Route) -> Callable[[Any, Context], Awaitable[None]]:
    async def open_stream(request: Any, context: Context) -> None:
        opening = Opening(request, context.invocation_metadata())
        try:
            await route.handler(opening, GrpcWire(context))
        except (aio.InternalError, aio.UsageError) as error:  # what writing to nobody raises
            raise asyncio.CancelledError from error

    return open_stream
