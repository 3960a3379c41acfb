"""The proxy does to a connection what a bad network does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.support.proxy import TcpProxy
from tests.support.waiting import PATIENCE

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Line:
    """Both ends of one connection through a proxy."""

    def __init__(
        self, proxy: TcpProxy, near: Ends, far: Ends, accepted: asyncio.Queue[Ends]
    ) -> None:
        self.proxy = proxy
        self.accepted = accepted
        self.near_reader, self.near_writer = near
        self.far_reader, self.far_writer = far


@asynccontextmanager
async def connected() -> AsyncIterator[Line]:
    """A client and a server that a proxy connects."""
    accepted: asyncio.Queue[Ends] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accepted.put((reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy = TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1])
    await proxy.open()
    near = await asyncio.open_connection("127.0.0.1", proxy.port)
    async with server, asyncio.timeout(PATIENCE):
        far = await accepted.get()
        try:
            yield Line(proxy, near, far, accepted)
        finally:
            await proxy.cut()
            await closed(near[1])
            await closed(far[1])


async def closed(writer: asyncio.StreamWriter) -> None:
    """Nothing of the connection is left on this side."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def test_what_is_held_arrives_when_the_network_is_back() -> None:
    async with connected() as line:
        line.proxy.hold()
        line.near_writer.write(b"hello")
        await line.near_writer.drain()
        reading = asyncio.ensure_future(line.far_reader.readexactly(5))
        done, _ = await asyncio.wait({reading}, timeout=0.1)
        assert not done
        line.proxy.release()
        assert await reading == b"hello"


async def test_a_muted_link_carries_requests_and_no_answers() -> None:
    async with connected() as line:
        line.proxy.mute()
        line.near_writer.write(b"hello")
        assert await line.far_reader.readexactly(5) == b"hello"
        line.far_writer.write(b"hello")
        reading = asyncio.ensure_future(line.near_reader.readexactly(5))
        done, _ = await asyncio.wait({reading}, timeout=0.1)
        assert not done
        line.proxy.release()
        assert await reading == b"hello"


async def test_a_throttled_link_passes_everything_in_small_pieces() -> None:
    async with connected() as line:
        line.proxy.weather.rate = 1_000
        line.near_writer.write(b"x" * 100)
        assert len(await line.far_reader.read(100)) == line.proxy.piece() < 100
        line.proxy.calm()
        line.near_writer.write(b"x" * 100)
        assert len(await line.far_reader.readexactly(150)) == 150


async def test_a_delayed_link_passes_bytes_in_order() -> None:
    async with connected() as line:
        line.proxy.weather.delay = 0.01
        for number in range(5):
            line.near_writer.write(bytes([number]))
        assert await line.far_reader.readexactly(5) == bytes(range(5))


@pytest.mark.parametrize("near", [True, False])
async def test_a_half_closed_link_carries_the_other_direction(*, near: bool) -> None:
    async with connected() as line:
        line.proxy.half_close(near=near)
        ended, other = line.near_reader, line.far_reader
        writer = line.near_writer
        if not near:
            ended, other, writer = other, ended, line.far_writer
        assert await ended.read() == b""
        writer.write(b"still here")
        assert await other.readexactly(10) == b"still here"


async def test_cutting_links_leaves_the_door_open() -> None:
    async with connected() as line:
        await line.proxy.cut_links()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await line.near_reader.readexactly(1)
        reader, again = await asyncio.open_connection("127.0.0.1", line.proxy.port)
        again.write(b"hello")
        _, far = await line.accepted.get()
        far.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        await closed(again)
        await closed(far)
