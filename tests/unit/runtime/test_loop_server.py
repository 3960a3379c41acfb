"""What `LoopServer` does besides what every server does (test_servers)."""

from __future__ import annotations

import asyncio
import logging
import threading
from functools import partial
from typing import Any, Final, cast

import grpc
import pytest
from grpc import aio

from services.runtime.loop_server import LoopServer
from services.runtime.loop_server import server as loop_server
from services.runtime.loop_server.call import Call, CallEnded
from services.runtime.settings import ServerKind
from tests.support.waiting import PATIENCE
from tests.unit.runtime.servers import (
    SERVICE,
    Handlers,
    ask,
    echo,
    refusal,
    serving_with,
    soon,
    unary,
)

READERS: Final = 20
SILENCES: Final = 50
LARGE: Final = bytes(1_000_000)

serving = partial(serving_with, ServerKind.LOOP)


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
            if stuck is None or stuck.done():  # the connection took it after all
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


async def test_a_server_that_has_stopped_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    async with serving(unary(echo)) as (_, channel):
        await ask(channel)
        names = {each.name for each in set(threading.enumerate()) - before}
        assert "grpc core" in names
    assert "grpc core" not in {each.name for each in set(threading.enumerate()) - before}


async def test_connections_that_close_too_late_for_a_stop_are_no_fault(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop_server, "FLUSH_SECONDS", 0)
    monkeypatch.setattr(loop_server, "CLOSE_SECONDS", 0)
    closed = asyncio.Event()
    on_shutdown = LoopServer._on_shutdown

    def watched(server: LoopServer, event: Any) -> None:
        asyncio.get_running_loop().call_soon(closed.set)
        on_shutdown(server, event)

    monkeypatch.setattr(LoopServer, "_on_shutdown", watched)
    with caplog.at_level(logging.ERROR):
        async with serving(unary(echo)) as (server, channel):
            await ask(channel)
            await server.stop(None)
            await soon(closed)
    assert caplog.records == []


async def test_interceptors_are_asked_once_for_a_method() -> None:
    asked: list[str] = []

    class Noting(aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            asked.append(details.method)
            return await continuation(details)

    async with serving(unary(echo), Noting(), Noting()) as (_, channel):
        for _ in range(3):
            await ask(channel)
    assert asked == [f"/{SERVICE}/Call"] * 2
