"""Accepts calls, and has their handlers answer."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, NamedTuple

import grpc
from grpc import aio
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from services.runtime.errors import MeshError, Unavailable
from services.runtime.loop_server.call import Call
from services.runtime.loop_server.completions import Completions, Event
from services.runtime.status import status_code, status_text, trailers

log = logging.getLogger(__name__)

ACCEPTED_AT_ONCE: Final = 16
"""New calls that the core may hand over before one of them was looked at."""

FLUSH_SECONDS: Final = 0.2
"""For the last status to reach a caller that reads."""

CLOSE_SECONDS: Final = 5.0
"""Calls that were cancelled have gone by then, or are left behind."""

Handler = Any  # grpc.RpcMethodHandler, whose stubs know only the synchronous behaviours


class _Details(NamedTuple):
    """What handlers are chosen by."""

    method: str
    invocation_metadata: Any


class LoopServer:
    """A server with the part of `aio.Server` that services use, on the running event loop.

    ``interceptors`` are asked once for each method, not for each call. A handler's behaviour is
    awaitable or an asynchronous generator; its context is a `Call`.
    """

    def __init__(
        self,
        *,
        interceptors: Sequence[aio.ServerInterceptor] = (),
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self._interceptors = tuple(interceptors)
        self._generic: list[grpc.GenericRpcHandler] = []
        self._handlers: dict[str, Handler] = {}
        self._completions = Completions()
        self._server: Any = cygrpc.Server(tuple(options), False)
        self._server.register_completion_queue(self._completions.queue)
        self._loop = asyncio.get_running_loop()
        self._calls: set[asyncio.Task[None]] = set()
        self._accepts = False
        self._shut_down: asyncio.Future[None] = self._loop.create_future()

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Of one service or several."""
        self._generic.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """What generated code adds besides its generic handlers, which name the same methods."""

    def add_insecure_port(self, address: str) -> int:
        """The port; raises RuntimeError when the address cannot be listened on."""
        port: int = self._server.add_http2_port(address.encode())
        if not port:
            raise RuntimeError(f"cannot listen on {address}")
        return port

    async def start(self) -> None:
        """Calls are accepted on return."""
        self._server.start()
        self._accepts = True
        for _ in range(ACCEPTED_AT_ONCE):
            self._request_call()
        self._completions.start()

    async def stop(self, grace: float | None) -> None:
        """No new calls; those under way get ``grace`` seconds, then end with UNAVAILABLE.

        Does nothing if it does not run.
        """
        if not self._accepts:
            return
        self._accepts = False
        self._server.shutdown(self._completions.queue, self._on_shutdown)
        if self._calls and grace:
            await asyncio.wait(self._calls, timeout=grace)
        for task in self._calls:
            task.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=CLOSE_SECONDS)
        await self._close()

    async def _close(self) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(self._shut_down), FLUSH_SECONDS)
        except TimeoutError:  # readers that take nothing, not even their status
            self._server.cancel_all_calls()
        try:
            await asyncio.wait_for(asyncio.shield(self._shut_down), CLOSE_SECONDS)
        except TimeoutError:
            log.warning("connections did not close within %g seconds", CLOSE_SECONDS)
            return
        self._server.destroy()
        await self._completions.close()

    def _request_call(self) -> None:
        queue = self._completions.queue
        self._server.request_call(queue, queue, self._on_call)

    def _on_shutdown(self, _: Event) -> None:
        self._shut_down.set_result(None)

    def _on_call(self, event: Event) -> None:
        if not event.success:
            return
        if self._accepts:
            self._request_call()
        call = Call(event.call, event.invocation_metadata, self._completions)
        call.accept()
        method = event.call_details.method.decode(errors="replace")
        task = self._loop.create_task(self._serve(call, method))
        call.on_gone = task.cancel
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _serve(self, call: Call, method: str) -> None:
        try:
            handler = self._handlers.get(method) or await self._found(method, call)
            if handler is None:
                call.finish(grpc.StatusCode.UNIMPLEMENTED, f"there is no method {method}")
            else:
                await _answer(call, handler)
        except aio.AbortError:
            pass
        except asyncio.CancelledError:
            _refuse(call, Unavailable("this server is stopping"))
        except Exception:
            log.exception("%s failed", method)
            call.finish(grpc.StatusCode.UNKNOWN, "the server's log has more")

    async def _found(self, method: str, call: Call) -> Handler | None:
        details = _Details(method, call.invocation_metadata())
        ask = self._generic_handler
        for interceptor in reversed(self._interceptors):
            ask = functools.partial(interceptor.intercept_service, ask)
        handler = await ask(details)  # type: ignore[arg-type]
        if handler is not None:
            self._handlers[method] = handler
        return handler

    async def _generic_handler(self, details: grpc.HandlerCallDetails) -> Handler | None:
        found = (each.service(details) for each in self._generic)
        return next((handler for handler in found if handler is not None), None)


def _refuse(call: Call, error: MeshError) -> None:
    call.finish(status_code(error), status_text(error), trailers(error))


async def _answer(call: Call, handler: Handler) -> None:
    call.serialize = handler.response_serializer
    if handler.response_streaming:
        behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
    else:
        behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
    parse = handler.request_deserializer or bytes
    if handler.request_streaming:
        request: Any = call.requests(parse)
    else:
        data = await call.receive()
        if data is None:
            call.finish(grpc.StatusCode.INTERNAL, "the call has no request")
            return
        request = parse(data)
    outcome = behaviour(request, call)
    if isinstance(outcome, AsyncIterator):
        await _write_all(call, outcome)
    else:
        response = await outcome
        if not handler.response_streaming:
            call.finish(grpc.StatusCode.OK, message=_serialized(call, response))
            return
    call.finish(grpc.StatusCode.OK)


async def _write_all(call: Call, responses: Any) -> None:
    async with aclosing(responses):
        async for response in responses:
            await call.write(response)


def _serialized(call: Call, response: Any) -> bytes:
    return call.serialize(response) if call.serialize else response
