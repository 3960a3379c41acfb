"""What every server beneath our services does, asked by grpcio's own client."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any, Final, cast

import grpc
import pytest
from grpc import aio

from tests.support.statuses import error_info
from tests.support.waiting import PATIENCE
from tests.unit.runtime.servers import (
    REQUEST_BYTES,
    SERVICE,
    Serving,
    ask,
    echo,
    refusal,
    soon,
    unary,
)

MANY: Final = 300


class Waiting:
    """A behaviour that waits to be let go, and tells when it was cancelled."""

    def __init__(self) -> None:
        self.began, self.let_go, self.cancelled = (asyncio.Event() for _ in range(3))

    async def __call__(self, _: bytes, call: Any) -> bytes:
        self.began.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b"done"


async def test_many_calls_at_once_get_their_own_answers(serving: Serving) -> None:
    async with serving(unary(echo)) as (_, channel):
        answers = await asyncio.gather(*(ask(channel, b"%d" % each) for each in range(MANY)))
    assert answers == [b"%d" % each for each in range(MANY)]


async def test_metadata_comes_as_it_was_sent_and_a_status_takes_trailers_along(
    serving: Serving,
) -> None:
    sent = (("word", "yes"), ("octets-bin", bytes(range(256))))

    async def refuse(_: bytes, call: Any) -> None:
        got = tuple(each for each in call.invocation_metadata() if each in sent)
        await call.abort(grpc.StatusCode.ABORTED, "no \u2013 really", got)

    async with serving(unary(refuse)) as (_, channel):
        error = await refusal(ask(channel, metadata=sent))
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "no \u2013 really")
    assert tuple(error.trailing_metadata()) == sent


async def test_streams_go_both_ways(serving: Serving) -> None:
    async def total(requests: AsyncIterator[bytes], _: Any) -> bytes:
        return b",".join([each async for each in requests])

    async def double(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for each in requests:
            yield each * 2

    handlers: dict[str, Any] = {
        "Total": grpc.stream_unary_rpc_method_handler(cast("Any", total)),
        "Double": grpc.stream_stream_rpc_method_handler(cast("Any", double)),
    }
    words = [b"%d" % each for each in range(MANY)]
    async with serving(handlers) as (_, channel):
        assert await channel.stream_unary(f"/{SERVICE}/Total")(iter(words)) == b",".join(words)
        answers = channel.stream_stream(f"/{SERVICE}/Double")(iter(words))
        assert [each async for each in answers] == [each * 2 for each in words]


async def test_a_request_that_is_too_large_is_refused_and_the_next_one_answered(
    serving: Serving,
) -> None:
    async with serving(unary(echo)) as (_, channel):
        error = await refusal(ask(channel, bytes(REQUEST_BYTES + 1)))
        assert await ask(channel, bytes(REQUEST_BYTES)) == bytes(REQUEST_BYTES)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_failure_is_logged_and_told_without_its_text(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: bytes, call: Any) -> bytes:
        raise ValueError("secret")

    with caplog.at_level(logging.ERROR):
        async with serving(unary(fail)) as (_, channel):
            error = await refusal(ask(channel))
    assert error.code() == grpc.StatusCode.UNKNOWN
    assert "secret" not in (error.details() or "")
    assert "secret" in caplog.text


async def test_a_caller_that_goes_away_cancels_its_call(serving: Serving) -> None:
    waiting = Waiting()
    async with serving(unary(waiting)) as (_, channel):
        call = ask(channel)
        await soon(waiting.began)
        call.cancel()
        await soon(waiting.cancelled)


async def test_a_callers_deadline_cancels_its_call(serving: Serving) -> None:
    waiting = Waiting()
    async with serving(unary(waiting)) as (_, channel):
        error = await refusal(ask(channel, timeout=0.2))
        await soon(waiting.cancelled)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_server_that_stops_lets_calls_end_and_takes_no_new_ones(serving: Serving) -> None:
    waiting = Waiting()
    async with serving(unary(waiting)) as (server, channel):
        under_way = asyncio.ensure_future(ask(channel))
        await soon(waiting.began)
        stopping = asyncio.create_task(server.stop(PATIENCE))
        await asyncio.wait({stopping}, timeout=0.1)
        error = await refusal(ask(channel))
        waiting.let_go.set()
        assert await under_way == b"done"
        await stopping
    assert error.code() == grpc.StatusCode.UNAVAILABLE


async def test_calls_that_outlast_the_grace_are_told_that_the_server_stops(
    serving: Serving,
) -> None:
    waiting = Waiting()
    async with serving(unary(waiting)) as (server, channel):
        under_way = asyncio.ensure_future(ask(channel))
        await soon(waiting.began)
        await server.stop(0.1)
        error = await refusal(under_way)
    assert waiting.cancelled.is_set()
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert error_info(error).reason == "UNAVAILABLE"


async def test_a_method_that_is_not_there_is_unimplemented(serving: Serving) -> None:
    async with serving(unary(echo)) as (_, channel):
        error = await refusal(ask(channel, method="Other"))
        assert await ask(channel, b"still") == b"still"
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_interceptors_stand_around_each_other(serving: Serving) -> None:
    class Marking(aio.ServerInterceptor):
        def __init__(self, mark: bytes) -> None:
            self.mark = mark

        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            handler = await continuation(details)

            async def marked(request: bytes, call: Any) -> bytes:
                answer: bytes = await handler.unary_unary(request, call)
                return self.mark + answer

            return grpc.unary_unary_rpc_method_handler(cast("Any", marked))

    async with serving(unary(echo), Marking(b"outer "), Marking(b"inner ")) as (_, channel):
        for _ in range(3):
            assert await ask(channel, b"word") == b"outer inner word"


def test_stock_grpc_serves_without_the_private_core() -> None:
    services = ", ".join(f"services.{each}.app" for each in ("api", "evaluation", "ingest"))
    without = "import sys; sys.modules['services.runtime.loop_server'] = None"
    subprocess.run([sys.executable, "-c", f"{without}; import {services}"], check=True)
