"""Stock `grpc.aio` as the carrier of streams: bytes pass through, and every frame is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

import grpc
from grpc import aio

from services.evaluation.broadcast.transport import Opening, Route
from services.runtime.interceptor import Context


class ReaderGone(Exception):
    """The reader went away, or its stream has ended."""


class AioTransport:
    """Adds a service whose methods are server streams of bytes.

    ``routes`` are by method name. What a handler raises becomes a status in the server's
    `ErrorInterceptor`.
    """

    def __init__(self, service: str, routes: Mapping[str, Route]) -> None:
        self._service = service
        self._routes = routes

    def register(self, server: aio.Server) -> None:
        """Has the server, an `AioServer` or a stock one, carry the routes."""
        handlers: dict[str, Any] = {
            method: grpc.unary_stream_rpc_method_handler(_behaviour(route), route.decode, None)
            for method, route in self._routes.items()
        }
        generic = grpc.method_handlers_generic_handler(self._service, handlers)
        server.add_generic_rpc_handlers((generic,))


def _behaviour(route: Route) -> Callable[[Any, Context], Awaitable[None]]:
    async def open_stream(request: Any, context: Context) -> None:
        writer = _Writer(context)
        try:
            await route.handler(Opening(request, context.invocation_metadata()), writer)
        except ReaderGone as error:
            raise asyncio.CancelledError from error
        finally:
            writer.close()

    return open_stream


class _Writer:
    """A stream's context as a `FrameWriter`."""

    __slots__ = ("_context", "_has_headers")

    def __init__(self, context: Context) -> None:
        self._context: Context | None = context
        self._has_headers = False

    def close(self) -> None:
        """Takes no frame any more: gRPC gives the call free when its handler has ended."""
        self._context = None

    def try_write(self, frame: bytes) -> Awaitable[None]:
        """Always returns something to await: stock gRPC says that a frame is taken by its poller.

        See `FrameWriter`; raises `ReaderGone`.
        """
        if self._context is None:
            raise ReaderGone
        return _Write(self, frame)

    async def write(self, frame: bytes) -> None:
        """Returns when the frame is taken; raises `ReaderGone`."""
        context = self._context
        if context is None:
            raise ReaderGone
        try:
            if not self._has_headers:
                # Apart from the first frame: gRPC notes that they were sent when the batch is
                # done, and would send them twice if the frame is given up while it waits.
                self._has_headers = True
                await context.send_initial_metadata(())
            await context.write(frame)
        except aio.BaseError as error:
            raise ReaderGone from error


class _Write:
    """One frame, handed over when it is awaited: nothing is left behind if nobody does."""

    __slots__ = ("_frame", "_writer")

    def __init__(self, writer: _Writer, frame: bytes) -> None:
        self._writer = writer
        self._frame = frame

    def __await__(self) -> Generator[Any, None, None]:
        return self._writer.write(self._frame).__await__()
