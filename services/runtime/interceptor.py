"""What stands around every call: size limit, deadline, and errors turned into statuses."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

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

T = TypeVar("T")

Context = aio.ServicerContext[Any, Any]
Handler = Any  # grpc.RpcMethodHandler, whose stubs know only the synchronous behaviours
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]
Behaviour = Callable[[Any, Context], Any]
Middleware = Callable[[Any, Context], AbstractAsyncContextManager[None]]
"""Stands around one call, whose request (or iterator of requests) and context it is given."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands for a request that could not be taken; the call answers with the error."""

    error: InvalidArgument


class _Late(Exception):
    """`UNARY_DEADLINE` has passed; a TimeoutError of anything else is not this."""


class _ErrorBoundary:
    """Around a call: what it raises becomes its status."""

    __slots__ = ("_context", "_method", "_request")

    def __init__(self, method: str, request: Any, context: Context) -> None:
        self._method = method
        self._request = request
        self._context = context

    async def __aenter__(self) -> None:
        if isinstance(self._request, _Refused):
            await _answer(self._request.error, self._method, self._context)

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
        limit = self._limits.get(method, MAX_REQUEST_BYTES)
        return surrounded(_limited(handler, limit), partial(_ErrorBoundary, method))


def guarded(handler: Handler, guard: Callable[[Context], Awaitable[None]]) -> Handler:
    """The handler with ``guard`` awaited before each call; it refuses by raising.

    For interceptors that stand inside `ErrorInterceptor`, such as authentication.
    """
    return surrounded(handler, partial(_Guarded, guard))


def surrounded(handler: Handler, around: Middleware) -> Handler:
    """The handler, of any of the four kinds, with each call within ``around(request, context)``.

    A behaviour that yields its responses still does, one that writes them by itself (as
    health's Watch does) stays a coroutine.
    """
    behaviour = _behaviour(handler)
    wrap = _yielding if inspect.isasyncgenfunction(behaviour) else _awaiting
    return _like(handler, wrap(behaviour, around), handler.request_deserializer)


class _Guarded:
    """Around a call: the guard is asked first."""

    __slots__ = ("_context", "_guard")

    def __init__(
        self, guard: Callable[[Context], Awaitable[None]], _: object, context: Context
    ) -> None:
        self._guard = guard
        self._context = context

    async def __aenter__(self) -> None:
        await self._guard(self._context)

    async def __aexit__(self, *_: object) -> None:
        """Nothing is to be done after."""


def _kind(handler: Handler) -> str:
    """As gRPC names it: ``unary_unary``, ``unary_stream``, ``stream_unary``, ``stream_stream``."""
    request = "stream" if handler.request_streaming else "unary"
    response = "stream" if handler.response_streaming else "unary"
    return f"{request}_{response}"


def _behaviour(handler: Handler) -> Behaviour:
    behaviour: Behaviour = getattr(handler, _kind(handler))
    return behaviour


def _like(
    handler: Handler, behaviour: Behaviour, deserializer: Callable[[bytes], Any] | None
) -> Handler:
    """A handler of the same kind."""
    make = getattr(grpc, f"{_kind(handler)}_rpc_method_handler")
    return make(behaviour, deserializer, handler.response_serializer)


def _limited(handler: Handler, limit: int) -> Handler:
    """The handler with requests of at most ``limit`` bytes, and with the deadlines.

    One that streams both ways has neither: what is a limit of one request is its own to check.
    """
    behaviour = _behaviour(handler)
    if handler.request_streaming and handler.response_streaming:
        return handler
    if not handler.response_streaming:
        behaviour = (_intake if handler.request_streaming else _unary)(behaviour)
    return _like(handler, behaviour, _checked(handler.request_deserializer, limit))


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


async def _in_time(work: Awaitable[T]) -> T:
    """Raises `_Late` after `UNARY_DEADLINE`."""
    try:
        async with asyncio.timeout(UNARY_DEADLINE) as deadline:
            return await work
    except TimeoutError as error:
        if deadline.expired():
            raise _Late from error
        raise


def _unary(behaviour: Behaviour) -> Behaviour:
    async def call(request: Any, context: Context) -> Any:
        return await _in_time(behaviour(request, context))

    return call


def _intake(behaviour: Behaviour) -> Behaviour:
    """Takes a stream of requests; the deadline is each request's, for the stream has no end."""

    async def call(requests: AsyncIterator[Any], context: Context) -> Any:
        return await behaviour(_each_in_time(requests), context)

    return call


async def _each_in_time(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    iterator = aiter(requests)
    while (request := await _in_time(anext(iterator, None))) is not None:
        if isinstance(request, _Refused):
            raise request.error
        yield request


def _yielding(behaviour: Behaviour, around: Middleware) -> Behaviour:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        async with around(request, context):
            async for response in behaviour(request, context):
                yield response

    return call


def _awaiting(behaviour: Behaviour, around: Middleware) -> Behaviour:
    async def call(request: Any, context: Context) -> Any:
        async with around(request, context):
            return await behaviour(request, context)

    return call


async def _answer(error: Exception, method: str, context: Context) -> None:
    if isinstance(error, aio.BaseError):  # gRPC's own: a status was given, or nobody is there
        raise error
    if isinstance(error, _Late):
        await context.abort(
            grpc.StatusCode.DEADLINE_EXCEEDED, f"not done within {UNARY_DEADLINE:g} seconds"
        )
    if isinstance(error, MeshError):
        await context.abort(status_code(error), status_text(error), trailers(error))
    log.error("%s failed", method, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log has more")
