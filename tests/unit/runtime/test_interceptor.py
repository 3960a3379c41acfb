"""What stands around a call of each of the four kinds, over a real socket."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any, Final, cast

import grpc
import pytest
from grpc import aio

from services.runtime import interceptor
from services.runtime.errors import PermissionDenied
from services.runtime.interceptor import Continuation, ErrorInterceptor, guarded
from tests.unit.runtime.servers import SERVICE, Serving

KINDS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
WRITER_KINDS: Final = ("unary_stream", "stream_stream")


class Guard(aio.ServerInterceptor):
    """Lets nobody pass who does not say the word."""

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Any:
        return guarded(await continuation(details), self._guard)

    async def _guard(self, context: Any) -> None:
        if ("word", "please") not in tuple(context.invocation_metadata()):
            raise PermissionDenied("the word is missing")


def handlers(error: Exception | None) -> dict[str, Any]:
    """A method of each kind, named like it, and of those that write by themselves."""

    async def answer(request: Any, _: Any) -> bytes:
        if error is not None:
            raise error
        return b"answer"

    async def answers(request: Any, context: Any) -> AsyncIterator[bytes]:
        yield await answer(request, context)

    async def write(request: Any, context: Any) -> None:
        await context.write(await answer(request, context))

    def made(kind: str, behaviour: Any) -> Any:
        return getattr(grpc, f"{kind}_rpc_method_handler")(cast("Any", behaviour))

    by_kind = {kind: made(kind, answers if kind.endswith("stream") else answer) for kind in KINDS}
    return by_kind | {f"{kind}_writer": made(kind, write) for kind in WRITER_KINDS}


METHODS: Final = tuple(handlers(None))


async def call(channel: aio.Channel, method: str, **options: Any) -> bytes:
    """The first answer."""
    kind = method.removesuffix("_writer")
    requests = () if kind.startswith("stream") else (b"request",)  # nobody reads a stream's
    under_way: Any = getattr(channel, kind)(f"/{SERVICE}/{method}")(*requests, **options)
    answer: bytes = await (under_way.read() if kind.endswith("stream") else under_way)
    return answer


async def refusal(channel: aio.Channel, method: str) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        await call(channel, method)
    return caught.value


@pytest.mark.parametrize("method", METHODS)
async def test_an_error_of_a_method_of_any_kind_is_its_status(
    serving: Serving, method: str
) -> None:
    async with serving(handlers(PermissionDenied("not for you")), ErrorInterceptor()) as (
        _,
        channel,
    ):
        error = await refusal(channel, method)
    assert (error.code(), error.details()) == (grpc.StatusCode.PERMISSION_DENIED, "not for you")


@pytest.mark.parametrize("method", METHODS)
async def test_a_guard_stands_before_a_method_of_any_kind(serving: Serving, method: str) -> None:
    async with serving(handlers(None), ErrorInterceptor(), Guard()) as (_, channel):
        error = await refusal(channel, method)
        assert await call(channel, method, metadata=(("word", "please"),)) == b"answer"
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("method", METHODS)
async def test_a_timeout_that_is_not_the_calls_own_is_a_fault_and_logged_once(
    serving: Serving, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        async with serving(handlers(TimeoutError("of a driver")), ErrorInterceptor()) as (
            _,
            channel,
        ):
            error = await refusal(channel, method)
    assert error.code() is grpc.StatusCode.INTERNAL
    ours = [each.message for each in caplog.records if each.name.startswith("services.")]
    assert ours == [f"/{SERVICE}/{method} failed"]  # stock gRPC may log that the call had ended


async def test_a_call_that_is_not_done_in_its_time_is_told_so(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptor, "UNARY_DEADLINE", 0.05)

    async def last(requests: AsyncIterator[bytes], _: Any) -> bytes:
        return [each async for each in requests][-1]

    methods: dict[str, Any] = {"Last": grpc.stream_unary_rpc_method_handler(cast("Any", last))}
    async with serving(methods, ErrorInterceptor()) as (_, channel):
        under_way: Any = channel.stream_unary(f"/{SERVICE}/Last")()
        await under_way.write(b"one, and then none")
        with pytest.raises(aio.AioRpcError) as caught:
            await under_way
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert caught.value.details() == "not done within 0.05 seconds"
