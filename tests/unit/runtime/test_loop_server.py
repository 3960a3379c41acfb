"""The server beneath every service, asked by grpcio's own client."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import grpc
import pytest
from grpc import aio

from services.runtime.loop_server import LoopServer
from services.runtime.loop_server.call import Call, CallEnded
from tests.support.waiting import PATIENCE

SERVICE: Final = "featmesh.test.v1.Calls"
MANY: Final = 300
READERS: Final = 20
SILENCES: Final = 50
LARGE: Final = bytes(1_000_000)
REQUEST_BYTES: Final = 10_000

Handlers = Mapping[str, Any]


@asynccontextmanager
async def serving(
    handlers: Handlers, *interceptors: aio.ServerInterceptor
) -> AsyncIterator[tuple[LoopServer, Any]]:
    options = [("grpc.max_receive_message_length", REQUEST_BYTES)]
    server = LoopServer(interceptors=interceptors, options=options)
    generic = grpc.method_handlers_generic_handler(SERVICE, cast("dict[str, Any]", handlers))
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield server, channel
    finally:
        await server.stop(None)


def unary(behaviour: Callable[[Any, Call], Any]) -> dict[str, Any]:
    return {"Call": grpc.unary_unary_rpc_method_handler(cast("Any", behaviour))}


def ask(channel: Any, data: bytes = b"", method: str = "Call", **options: Any) -> Any:
    return channel.unary_unary(f"/{SERVICE}/{method}")(data, **options)


async def refusal(call: Any) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        async with asyncio.timeout(PATIENCE):
            await call
    return caught.value


async def soon(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await event.wait()


class Waiting:
    """A behaviour that waits to be let go, and tells when it was cancelled."""

    def __init__(self) -> None:
        self.began, self.let_go, self.cancelled = (asyncio.Event() for _ in range(3))

    async def __call__(self, _: bytes, call: Call) -> bytes:
        self.began.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b"done"


async def echo(data: bytes, _: Call) -> bytes:
    return data


async def test_many_calls_at_once_get_their_own_answers() -> None:
    async with serving(unary(echo)) as (_, channel):
        answers = await asyncio.gather(*(ask(channel, b"%d" % each) for each in range(MANY)))
    assert answers == [b"%d" % each for each in range(MANY)]


async def test_metadata_comes_as_it_was_sent_and_a_status_takes_trailers_along() -> None:
    sent = (("word", "yes"), ("octets-bin", bytes(range(256))))

    async def refuse(_: bytes, call: Call) -> None:
        got = tuple(each for each in call.invocation_metadata() if each in sent)
        await call.abort(grpc.StatusCode.ABORTED, "no \u2013 really", got)

    async with serving(unary(refuse)) as (_, channel):
        error = await refusal(ask(channel, metadata=sent))
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "no \u2013 really")
    assert tuple(error.trailing_metadata()) == sent


async def test_streams_go_both_ways() -> None:
    async def total(requests: AsyncIterator[bytes], _: Call) -> bytes:
        return b",".join([each async for each in requests])

    async def double(requests: AsyncIterator[bytes], _: Call) -> AsyncIterator[bytes]:
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


async def test_what_is_sent_after_a_silence_reaches_all_who_read() -> None:
    over = asyncio.Event()
    calls: dict[bytes, Call] = {}

    async def hold(name: bytes, call: Call) -> None:
        calls[name] = call
        call.serialize = None
        await call.write(b"ready")
        await over.wait()

    handlers: Handlers = {"Hold": grpc.unary_stream_rpc_method_handler(cast("Any", hold))}
    async with serving(handlers) as (_, channel):
        stream = channel.unary_stream(f"/{SERVICE}/Hold")
        readers = {b"%d" % each: stream(b"%d" % each) for each in range(READERS)}
        stalled = stream(b"stalled")
        for reader in (stalled, *readers.values()):
            assert await reader.read() == b"ready"
        stuck: asyncio.Future[None] | None = None
        for number in range(SILENCES):  # each answer waited for: between them nothing happens
            if stuck is None:
                stuck = calls[b"stalled"].try_write(LARGE)
            for name in readers:
                taken = calls[name].try_write(b"%d" % number)
                if taken is not None:
                    await taken
            for reader in readers.values():
                async with asyncio.timeout(PATIENCE):
                    assert await reader.read() == b"%d" % number
        assert stuck is not None
        assert not stuck.done()
        stalled.cancel()
        with pytest.raises(CallEnded):
            await stuck
        over.set()


async def test_a_method_that_is_not_there_is_unimplemented() -> None:
    async with serving(unary(echo)) as (_, channel):
        error = await refusal(ask(channel, method="Other"))
        assert await ask(channel, b"still") == b"still"
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert f"/{SERVICE}/Other" in (error.details() or "")


async def test_a_call_without_its_one_request_is_told_so() -> None:
    async with serving(unary(echo)) as (_, channel):
        error = await refusal(channel.stream_unary(f"/{SERVICE}/Call")(iter(())))
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INTERNAL,
        "the call has no request",
    )


async def test_a_request_that_is_too_large_is_refused_and_the_next_one_answered() -> None:
    async with serving(unary(echo)) as (_, channel):
        error = await refusal(ask(channel, bytes(REQUEST_BYTES + 1)))
        assert await ask(channel, bytes(REQUEST_BYTES)) == bytes(REQUEST_BYTES)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_failure_is_logged_and_told_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(_: bytes, call: Call) -> bytes:
        raise ValueError("secret")

    with caplog.at_level(logging.ERROR):
        async with serving(unary(fail)) as (_, channel):
            error = await refusal(ask(channel))
    assert error.code() == grpc.StatusCode.UNKNOWN
    assert "secret" not in (error.details() or "")
    assert "secret" in caplog.text


async def test_a_call_that_cannot_be_accepted_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = asyncio.Event()

    def fail(_: Call) -> None:
        tried.set()
        raise RuntimeError

    with caplog.at_level(logging.ERROR):
        async with serving(unary(echo)) as (_, channel):
            with monkeypatch.context() as patch:
                patch.setattr(Call, "accept", fail)
                lost = ask(channel)
                await soon(tried)
            assert await ask(channel, b"next") == b"next"
            lost.cancel()
    assert "was not handled" in caplog.text


async def test_a_caller_that_goes_away_cancels_its_call() -> None:
    waiting = Waiting()
    async with serving(unary(waiting)) as (_, channel):
        call = ask(channel)
        await soon(waiting.began)
        call.cancel()
        await soon(waiting.cancelled)


async def test_a_callers_deadline_cancels_its_call() -> None:
    waiting = Waiting()
    async with serving(unary(waiting)) as (_, channel):
        error = await refusal(ask(channel, timeout=0.2))
        await soon(waiting.cancelled)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_server_that_stops_lets_calls_end_and_takes_no_new_ones() -> None:
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


async def test_calls_that_outlast_the_grace_are_told_that_the_server_stops() -> None:
    waiting = Waiting()
    async with serving(unary(waiting)) as (server, channel):
        under_way = asyncio.ensure_future(ask(channel))
        await soon(waiting.began)
        await server.stop(0.1)
        error = await refusal(under_way)
    assert waiting.cancelled.is_set()
    assert error.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_server_that_has_stopped_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    async with serving(unary(echo)) as (_, channel):
        await ask(channel)
        names = {each.name for each in set(threading.enumerate()) - before}
        assert "grpc core" in names
    assert "grpc core" not in {each.name for each in set(threading.enumerate()) - before}


async def test_interceptors_stand_around_each_other_and_are_asked_once_for_a_method() -> None:
    asked: list[str] = []

    class Marking(aio.ServerInterceptor):
        def __init__(self, mark: bytes) -> None:
            self.mark = mark

        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            handler = await continuation(details)
            asked.append(details.method)

            async def marked(request: bytes, call: Call) -> bytes:
                answer: bytes = await handler.unary_unary(request, call)
                return self.mark + answer

            return grpc.unary_unary_rpc_method_handler(cast("Any", marked))

    async with serving(unary(echo), Marking(b"outer "), Marking(b"inner ")) as (_, channel):
        for _ in range(3):
            assert await ask(channel, b"word") == b"outer inner word"
    assert asked == [f"/{SERVICE}/Call"] * 2
