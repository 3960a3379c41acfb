"""What stands around every call: size limit, deadline, and errors turned into statuses."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from services.runtime.errors import InvalidArgument, MeshError
from services.runtime.status import status_code, status_text, trailers

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES: Final = 1024 * 1024
"""Unless a method has a limit of its own."""

UNARY_DEADLINE: Final = 30.0
"""Seconds; a caller's own shorter deadline is kept by gRPC."""

Context = aio.ServicerContext[Any, Any]
Handler = Any  # grpc.RpcMethodHandler, whose stubs know only the synchronous behaviours
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]
Behaviour = Callable[[Any, Context], Any]
Middleware = Callable[[Context], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands for a request that could not be taken; the call answers with the error."""

    error: InvalidArgument


class _ErrorBoundary:
    """Around a call: what it raises becomes its status."""

    __slots__ = ("_context", "_method")

    def __init__(self, method: str, context: Context) -> None:
        self._method = method
        self._context = context

    async def __aenter__(self) -> None:
        """Nothing is to be done before."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, Exception):
            await _answer(error, self._method, self._context)


class ErrorInterceptor(aio.ServerInterceptor):
    """Answers `MeshError` with its status, anything else with a plain INTERNAL, logged once.

    ``limits`` maps full method names to request sizes in bytes beyond the usual one.
    """

    def __init__(self, limits: Mapping[str, int] | None = None) -> None:
        self._limits = dict(limits or {})

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Wraps the method's handler; unknown methods stay UNIMPLEMENTED."""
        handler = await continuation(details)
        if handler is None:
            return None
        method = details.method
        around = partial(_ErrorBoundary, method)
        deserializer = _checked(
            handler.request_deserializer, self._limits.get(method, MAX_REQUEST_BYTES)
        )
        if handler.request_streaming:
            if handler.response_streaming:
                return _duplex_handler(handler, around)
            return grpc.stream_unary_rpc_method_handler(
                _intake(handler.stream_unary, around), deserializer, handler.response_serializer
            )
        if handler.response_streaming:
            wrap = _stream if inspect.isasyncgenfunction(handler.unary_stream) else _writer
            return grpc.unary_stream_rpc_method_handler(
                wrap(handler.unary_stream, around), deserializer, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            _unary(handler.unary_unary, around), deserializer, handler.response_serializer
        )


def _duplex_handler(handler: Handler, around: Middleware) -> Handler:
    """Streams both ways; what is a limit of one request is the method's own to check."""
    if not inspect.isasyncgenfunction(handler.stream_stream):
        return handler
    return grpc.stream_stream_rpc_method_handler(
        _stream(handler.stream_stream, around),
        handler.request_deserializer,
        handler.response_serializer,
    )


def guarded(handler: Handler, guard: Callable[[Context], Awaitable[None]]) -> Handler:
    """The handler with ``guard`` awaited before each call; it refuses by raising.

    For interceptors that stand inside `ErrorInterceptor`, such as authentication.
    """
    if handler.response_streaming:
        inner = handler.unary_stream

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            await guard(context)
            async for response in _responses(inner(request, context)):
                yield response

        return grpc.unary_stream_rpc_method_handler(
            stream, handler.request_deserializer, handler.response_serializer
        )
    behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
    make = (
        grpc.stream_unary_rpc_method_handler
        if handler.request_streaming
        else grpc.unary_unary_rpc_method_handler
    )

    async def call(request: Any, context: Context) -> Any:
        await guard(context)
        return await behaviour(request, context)

    return make(call, handler.request_deserializer, handler.response_serializer)


def _checked(deserialize: Callable[[bytes], Any] | None, limit: int) -> Callable[[bytes], Any]:
    def parse(data: bytes) -> Any:
        if len(data) > limit:
            text = f"has {len(data)} bytes; the limit is {limit}"
            return _Refused(InvalidArgument.of("request", text))
        try:
            return deserialize(data) if deserialize else data
        except DecodeError:
            return _Refused(InvalidArgument.of("request", "is not a valid protobuf message"))

    return parse


def _unary(behaviour: Behaviour, around: Middleware) -> Behaviour:
    async def call(request: Any, context: Context) -> Any:
        async with around(context):
            _raise_refused(request)
            async with asyncio.timeout(UNARY_DEADLINE):
                return await behaviour(request, context)

    return call


def _intake(behaviour: Behaviour, around: Middleware) -> Behaviour:
    """Takes a stream of requests; the deadline is each request's, for the stream has no end."""

    async def call(requests: AsyncIterator[Any], context: Context) -> Any:
        async with around(context):
            return await behaviour(_each_in_time(requests), context)

    return call


async def _each_in_time(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    iterator = aiter(requests)
    while True:
        async with asyncio.timeout(UNARY_DEADLINE):
            request = await anext(iterator, None)
        if request is None:
            return
        _raise_refused(request)
        yield request


def _stream(behaviour: Behaviour, around: Middleware) -> Behaviour:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        async with around(context):
            _raise_refused(request)
            answer = behaviour(request, context)
            if inspect.isawaitable(answer):
                await answer  # it writes to its context instead, as health's Watch does
                return
            async for response in answer:
                yield response

    return call


async def _responses(outcome: AsyncIterator[Any] | Awaitable[None]) -> AsyncIterator[Any]:
    """Of a generator; a coroutine, such as health's Watch, writes its responses by itself."""
    if isinstance(outcome, Awaitable):
        await outcome
        return
    async for response in outcome:
        yield response


def _writer(behaviour: Behaviour, around: Middleware) -> Behaviour:
    """A stream whose behaviour writes by itself instead of yielding; it has no deadline."""

    async def call(request: Any, context: Context) -> None:
        async with around(context):
            _raise_refused(request)
            await behaviour(request, context)

    return call


def _raise_refused(request: Any) -> None:
    if isinstance(request, _Refused):
        raise request.error


async def _answer(error: Exception, method: str, context: Context) -> None:
    if isinstance(error, aio.AbortError):
        raise error
    if isinstance(error, TimeoutError):
        await context.abort(
            grpc.StatusCode.DEADLINE_EXCEEDED, f"not done within {UNARY_DEADLINE:g} seconds"
        )
    if isinstance(error, MeshError):
        await context.abort(status_code(error), status_text(error), trailers(error))
    log.error("%s failed", method, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log has more")
