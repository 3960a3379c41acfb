"""Stock `grpc.aio.server`, with the endings that every server of ours gives its calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import grpc
from grpc import aio

from services.runtime.errors import Unavailable
from services.runtime.interceptor import Context, Continuation, Handler, surrounded
from services.runtime.status import status_code, status_text, trailers

log = logging.getLogger(__name__)

FLUSH_SECONDS: Final = 0.2
"""Seconds for the last statuses to reach callers that read."""

CLOSE_SECONDS: Final = 5.0
"""Seconds after which calls that were cancelled, and connections, are left behind."""


class AioServer:
    """A server with the part of `aio.Server` that services use, on the running event loop.

    Stock gRPC ends the calls that outlast a stop without a status of ours, and shows callers
    the text of an exception that no interceptor has answered: here both are as in `LoopServer`.
    ``interceptors`` are asked for each call.
    """

    def __init__(
        self,
        *,
        interceptors: Sequence[aio.ServerInterceptor] = (),
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self._calls = _Calls()
        self._server = aio.server(interceptors=(self._calls, *interceptors), options=tuple(options))

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Adds those of one service or several."""
        self._server.add_generic_rpc_handlers(tuple(handlers))

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Does nothing: generated code adds these besides generic ones of the same methods."""

    def add_insecure_port(self, address: str) -> int:
        """Returns the port; raises RuntimeError when the address cannot be listened on."""
        return self._server.add_insecure_port(address)

    async def start(self) -> None:
        """Accepts calls on return."""
        await self._server.start()

    async def stop(self, grace: float | None) -> None:
        """Takes no new calls; those under way get ``grace`` seconds, then end with UNAVAILABLE."""
        grace = grace or 0
        closing = asyncio.create_task(self._server.stop(grace + FLUSH_SECONDS))
        await self._calls.end(grace)
        _, left = await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
        if left:
            log.warning("connections did not close within %g seconds", CLOSE_SECONDS)


class _Calls(aio.ServerInterceptor):
    """The calls under way; it stands around every other interceptor."""

    def __init__(self) -> None:
        self.are_cut_off = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Follows each call of the method."""
        handler = await continuation(details)
        return handler and surrounded(handler, partial(_Followed, self, details.method))

    def begin(self, task: asyncio.Task[Any]) -> None:
        """Follows a call to its end."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self, grace: float) -> None:
        """Waits ``grace`` seconds for the calls under way, and cancels those that are left."""
        if self._tasks and grace:
            await asyncio.wait(self._tasks, timeout=grace)
        self.are_cut_off = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)


class _Followed:
    """Around a call: one that is cut off is told so, and one that fails is logged."""

    __slots__ = ("_calls", "_context", "_method")

    def __init__(self, calls: _Calls, method: str, _: object, context: Context) -> None:
        self._calls = calls
        self._method = method
        self._context = context

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._calls.begin(task)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, asyncio.CancelledError) and self._calls.are_cut_off:
            stopping = Unavailable("this server is stopping")
            await self._context.abort(
                status_code(stopping), status_text(stopping), trailers(stopping)
            )
        if isinstance(error, aio.InternalError):  # the caller is gone amid a message
            raise asyncio.CancelledError from error
        if isinstance(error, Exception) and not isinstance(error, aio.BaseError):
            log.error("%s failed", self._method, exc_info=error)
            await self._context.abort(grpc.StatusCode.UNKNOWN, "the server's log has more")
