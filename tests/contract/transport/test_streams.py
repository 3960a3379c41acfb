"""What every adapter of the transport promises of frames, requests and endings."""

from __future__ import annotations

import asyncio
import logging

import grpc
import pytest
from google.protobuf import wrappers_pb2

from services.evaluation.broadcast.transport import FrameWriter, Opening, Route
from services.evaluation.limits import FRAME_BYTES
from services.runtime.errors import ResourceExhausted, Unavailable
from tests.contract.transport.adapters import Serve
from tests.contract.transport.readers import METHOD, Connection, connected, hand_over
from tests.support.statuses import error_info, violations
from tests.support.waiting import PATIENCE

STREAMS = 100
FRAMES = 20


class Full(ResourceExhausted):
    reason = "FULL_HOUSE"


async def test_frames_arrive_unchanged_and_in_order(serve: Serve) -> None:
    frames = [
        b"first",
        b"",
        bytes(range(256)) * (FRAME_BYTES // 256),
        b"",
        b"x" * FRAME_BYTES,
        *(b"%d" % number for number in range(100)),
    ]

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        await hand_over(writer, *frames)

    async with connected(serve, handler) as connection:
        stream = connection.open()
        for frame in frames:
            assert await stream.frame() == frame
        await stream.end()


async def test_request_and_metadata_reach_the_handler(serve: Serve) -> None:
    openings = []

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        openings.append(opening)

    routes = {METHOD: Route(wrappers_pb2.StringValue.FromString, handler)}
    async with connected(serve, routes) as connection:
        request = wrappers_pb2.StringValue(value="ada").SerializeToString()
        metadata = (("authorization", "Bearer key"), ("trace-bin", b"\x00\xff"))
        await connection.open(request, metadata=metadata).end()
    (opening,) = openings
    assert opening.request == wrappers_pb2.StringValue(value="ada")
    assert set(metadata) <= {(name, value) for name, value in opening.metadata or ()}


async def test_each_method_has_a_handler_of_its_own(serve: Serve) -> None:
    def answering(frame: bytes) -> Route:
        async def handler(opening: Opening, writer: FrameWriter) -> None:
            await hand_over(writer, frame)

        return Route(bytes, handler)

    routes = {"One": answering(b"1"), "Two": answering(b"2")}
    async with connected(serve, routes) as connection:
        assert await connection.open(method="One").frame() == b"1"
        assert await connection.open(method="Two").frame() == b"2"
        unknown = await connection.open(method="Three").refused()
    assert unknown.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_request_that_cannot_be_decoded_reaches_no_handler(serve: Serve) -> None:
    openings = []

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        openings.append(opening)

    routes = {METHOD: Route(wrappers_pb2.StringValue.FromString, handler)}
    async with connected(serve, routes) as connection:
        error = await connection.open(b"\xff").refused()
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violations(error) == {"request": "is not a valid protobuf message"}
    assert openings == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unavailable("another one serves"), grpc.StatusCode.UNAVAILABLE),
        (Full("too many", limit="64"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
async def test_an_error_of_ours_is_its_status_after_the_frames(
    serve: Serve, error: Unavailable | Full, code: grpc.StatusCode
) -> None:
    async def handler(opening: Opening, writer: FrameWriter) -> None:
        await hand_over(writer, b"one", b"two")
        raise error

    async with connected(serve, handler) as connection:
        stream = connection.open()
        assert [await stream.frame(), await stream.frame()] == [b"one", b"two"]
        answer = await stream.refused()
    assert (answer.code(), answer.details()) == (code, error.message)
    info = error_info(answer)
    assert (info.reason, dict(info.metadata)) == (error.reason, error.metadata)


async def test_an_error_of_nobody_tells_the_reader_nothing_and_the_log_all(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(opening: Opening, writer: FrameWriter) -> None:
        raise RuntimeError("the secret")

    with caplog.at_level(logging.ERROR):
        async with connected(serve, handler) as connection:
            error = await connection.open().refused()
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in (error.details() or "")
    assert "the secret" in caplog.text


async def test_a_stream_that_is_ended_before_any_frame_ends_well(serve: Serve) -> None:
    async def handler(opening: Opening, writer: FrameWriter) -> None:
        """Returns at once."""

    async with connected(serve, handler) as connection:
        await connection.open().end()


async def test_a_silent_stream_stays_open(serve: Serve) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        if opening.request == b"other":
            return
        asked.set()
        await answered.wait()
        await hand_over(writer, b"late")

    async with connected(serve, handler) as connection:
        stream = connection.open()
        async with asyncio.timeout(PATIENCE):
            await asked.wait()
        for _ in range(FRAMES):
            await connection.open(b"other").end()
        answered.set()
        assert await stream.frame() == b"late"
        await stream.end()


async def test_another_task_than_the_handlers_may_offer(serve: Serve) -> None:
    async def handler(opening: Opening, writer: FrameWriter) -> None:
        for number in range(FRAMES):
            await asyncio.create_task(hand_over(writer, b"%d" % number))

    async with connected(serve, handler) as connection:
        stream = connection.open()
        for number in range(FRAMES):
            assert await stream.frame() == b"%d" % number
        await stream.end()


@pytest.mark.parametrize("connections", [1, 10])
async def test_many_streams_side_by_side_keep_their_frames_apart(
    serve: Serve, connections: int
) -> None:
    gathered = asyncio.Barrier(STREAMS)

    async def handler(opening: Opening, writer: FrameWriter) -> None:
        await gathered.wait()  # all of them are open at once
        for number in range(FRAMES):
            await hand_over(writer, b"%s %d" % (opening.request, number))

    async def read(connection: Connection, name: bytes) -> list[bytes]:
        stream = connection.open(name)
        frames = [await stream.frame() for _ in range(FRAMES)]
        await stream.end()
        return frames

    async with serve({METHOD: Route(bytes, handler)}) as port, asyncio.timeout(PATIENCE):
        opened = [Connection(port) for _ in range(connections)]
        got = await asyncio.gather(
            *(read(opened[n % connections], b"%d" % n) for n in range(STREAMS))
        )
        for connection in opened:
            await connection.close()
    for n, frames in enumerate(got):
        assert frames == [b"%d %d" % (n, number) for number in range(FRAMES)]
