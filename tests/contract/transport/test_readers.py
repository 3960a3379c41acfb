"""What every adapter promises of readers that do not read, and of those that go away."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import grpc
import pytest

from services.evaluation.broadcast.transport import FrameWriter, Opening, Route
from services.evaluation.limits import FRAME_BYTES
from services.runtime.errors import Unavailable
from tests.contract.transport.adapters import Serve
from tests.contract.transport.readers import METHOD, Connection, connected, hand_over
from tests.support.proxy import TcpProxy
from tests.support.statuses import error_info
from tests.support.waiting import PATIENCE

FRAME = b"x" * FRAME_BYTES

BETWEEN = 32
"""Frames of `FRAME_BYTES` (8 MiB) that may lie between a handler and its reader at most."""

BETWEEN_FIRST = 15
"""Times `FRAME_BYTES`: a first frame (3.75 MiB, less than a client's limit) that is not taken."""

STUCK_SECONDS = 0.3
"""An offer that takes longer is one that waits for the reader."""


@dataclass
class Watching:
    """A handler that waits for its end, and tells of it."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    writer: FrameWriter | None = None

    async def __call__(self, opening: Opening, writer: FrameWriter) -> None:
        self.writer = writer
        await hand_over(writer, b"hello")
        self.opened.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def offer_failure(self) -> Exception | None:
        """What an offer raises now."""
        assert self.writer is not None
        try:
            await hand_over(self.writer, b"too late")
        except Exception as error:  # noqa: BLE001 -- each adapter has its own
            return error
        return None


async def soon(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await event.wait()


async def offer_until_stuck(writer: FrameWriter) -> None:
    """Cancels the first offer that waits for the reader; raises TimeoutError then."""
    for _ in range(BETWEEN + 1):
        async with asyncio.timeout(STUCK_SECONDS):
            await hand_over(writer, FRAME)


async def test_no_more_is_taken_than_a_bound_ahead_of_the_reader(serve: Serve) -> None:
    taken = 0
    total = 3 * BETWEEN

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        nonlocal taken
        for _ in range(total):
            await hand_over(writer, FRAME)
            taken += 1

    async with connected(serve, handler) as connection:
        stream = connection.open()
        for read in range(1, total + 1):
            assert await stream.frame() == FRAME
            assert taken <= read + BETWEEN
        await stream.end()
    assert taken == total


async def test_an_offer_that_is_cancelled_ends_the_stream_with_the_handlers_status(
    serve: Serve,
) -> None:
    pending = asyncio.Event()

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        try:
            await offer_until_stuck(writer)
        except TimeoutError:
            pending.set()
            raise Unavailable("the reader took no frame") from None

    async with connected(serve, handler) as connection:
        stream = connection.open()
        await soon(pending)
        error = await stream.refused()
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert error_info(error).reason == "UNAVAILABLE"


async def test_a_first_frame_that_is_given_up_ends_the_stream_with_the_handlers_status(
    serve: Serve,
) -> None:
    pending = asyncio.Event()

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        try:
            async with asyncio.timeout(STUCK_SECONDS):
                await hand_over(writer, FRAME * BETWEEN_FIRST)
        except TimeoutError:
            pending.set()
            raise Unavailable("the reader took no frame") from None

    async with connected(serve, handler) as connection:
        stream = connection.open()
        await soon(pending)
        error = await stream.refused()
    assert error.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_reader_that_does_not_read_holds_up_no_other_of_its_connection(
    serve: Serve,
) -> None:
    pending, go_on = asyncio.Event(), asyncio.Event()

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        if opening.request == b"other":
            await hand_over(writer, b"quick")
            return
        offering = asyncio.create_task(hand_over(writer, *[FRAME] * BETWEEN))
        await asyncio.wait({offering}, timeout=STUCK_SECONDS)
        assert not offering.done()
        pending.set()
        await go_on.wait()
        await offering

    async with connected(serve, handler) as connection:
        stream = connection.open()
        await soon(pending)
        for _ in range(BETWEEN):
            assert await connection.open(b"other").frame() == b"quick"
        go_on.set()
        for _ in range(BETWEEN):
            assert await stream.frame() == FRAME
        await stream.end()


async def test_a_reader_that_goes_away_cancels_the_handler(serve: Serve) -> None:
    handler = Watching()
    async with connected(serve, handler) as connection:
        stream = connection.open()
        assert await stream.frame() == b"hello"
        await soon(handler.opened)
        stream.cancel()
        await soon(handler.cancelled)
        assert await handler.offer_failure() is not None


async def test_a_connection_that_breaks_cancels_the_handlers_of_its_streams(
    serve: Serve,
) -> None:
    handlers = {b"one": Watching(), b"two": Watching()}

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        await handlers[opening.request](opening, writer)

    async with serve({METHOD: Route(bytes, handler)}) as port:
        proxy = TcpProxy("127.0.0.1", port)
        await proxy.open()
        connection = Connection(proxy.port)
        for name in handlers:
            await connection.open(name).frame()
        await proxy.cut()
        for each in handlers.values():
            await soon(each.cancelled)
            assert await each.offer_failure() is not None
        await connection.close()


async def test_an_offer_that_waits_for_a_reader_raises_when_it_goes_away(
    serve: Serve,
) -> None:
    outcome: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    pending = asyncio.Event()

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        offering = asyncio.create_task(hand_over(writer, *[FRAME] * (BETWEEN + 1)))
        offering.add_done_callback(lambda task: outcome.set_result(task.exception()))
        await asyncio.wait({offering}, timeout=STUCK_SECONDS)
        pending.set()
        await asyncio.Event().wait()

    async with connected(serve, handler) as connection:
        stream = connection.open()
        await soon(pending)
        stream.cancel()
        async with asyncio.timeout(PATIENCE):
            assert isinstance(await outcome, Exception)


async def test_a_reader_that_goes_away_amid_an_offer_of_the_handler_is_no_fault(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        begun.set()
        try:
            await hand_over(writer, *[FRAME] * (BETWEEN + 1))
        finally:
            ended.set()

    with caplog.at_level(logging.ERROR):
        async with connected(serve, handler) as connection:
            for _ in range(BETWEEN):
                begun.clear()
                ended.clear()
                stream = connection.open()
                await soon(begun)
                stream.cancel()
                await soon(ended)
    assert caplog.records == []


async def test_an_adapter_that_stops_cancels_its_handlers(serve: Serve) -> None:
    handler = Watching()
    async with serve({METHOD: Route(bytes, handler)}) as port:
        connection = Connection(port)
        await connection.open().frame()
        await soon(handler.opened)
    await soon(handler.cancelled)
    await connection.close()
