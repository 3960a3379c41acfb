"""A TCP proxy that a test opens, slows, holds and cuts: faults of a network, on real sockets."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from tests.support.ports import free_port

_PIECE: Final = 65_536
_TICK: Final = 0.05
"""Seconds; a throttled link passes so much of its share at once."""


@dataclass(slots=True)
class Weather:
    """What happens to bytes on their way; it may change while links are open.

    ``delay``: seconds that each piece of data is held back. ``rate``: bytes a second that
    each direction of a link passes; 0 is no limit.
    """

    delay: float = 0.0
    rate: int = 0


class TcpProxy:
    """Forwards 127.0.0.1:``port`` to a target; refuses connections until it is opened."""

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._answering = asyncio.Event()
        self._answering.set()
        self.weather = Weather()
        self.forwarded = 0
        """Bytes that came from the target and were passed on."""
        self.port = free_port()

    @classmethod
    async def in_front_of(cls, url: str) -> tuple[TcpProxy, str]:
        """An open proxy of the URL's host, and the URL that leads through it."""
        parts = urlsplit(url)
        proxy = cls(parts.hostname or "127.0.0.1", parts.port or 5672)
        await proxy.open()
        credentials = f"{parts.username}:{parts.password}@" if parts.username else ""
        through = parts._replace(netloc=f"{credentials}127.0.0.1:{proxy.port}")
        return proxy, urlunsplit(through)

    async def open(self) -> None:
        """Accept connections, on the same port each time."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Refuse connections and break those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut_links()

    async def cut_links(self, *, at_most: int | None = None) -> None:
        """Break so many of the open connections, or all; new ones are accepted."""
        tasks = [link.task for link in tuple(self._links)[:at_most]]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def hold(self) -> None:
        """Drop every packet: connections stay open and nothing comes through."""
        self._flowing.clear()

    def mute(self) -> None:
        """Drop what the target sends; what is sent to it still arrives."""
        self._answering.clear()

    def release(self) -> None:
        """What was held arrives, as TCP's retransmissions would, and the rest flows."""
        self._flowing.set()
        self._answering.set()

    def calm(self) -> None:
        """No fault of the network any more; what was cut stays so until `open`."""
        self.weather = Weather()
        self.release()

    def half_close(self, *, near: bool) -> None:
        """Tell one side of every link that the other one sends no more, which it still does.

        ``near`` is the side that connected.
        """
        for link in self._links:
            link.half_close(near=near)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        link = _Link(self, task, reader, writer)
        self._links.add(link)
        task.add_done_callback(lambda _: self._links.discard(link))
        with suppress(OSError, asyncio.CancelledError):
            await link.forward(*self._target)
        writer.transport.abort()

    async def passing(self, size: int, *, answer: bool = False) -> None:
        """Returns when so many bytes may go on."""
        weather = self.weather
        if weather.delay:
            await asyncio.sleep(weather.delay)
        if weather.rate:
            await asyncio.sleep(size / weather.rate)
        await self._flowing.wait()
        if answer:
            await self._answering.wait()

    def piece(self) -> int:
        """How many bytes to read at once."""
        rate = self.weather.rate
        return max(1, min(_PIECE, int(rate * _TICK))) if rate else _PIECE


class _Link:
    """One connection through a proxy."""

    def __init__(
        self,
        proxy: TcpProxy,
        task: asyncio.Task[None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.task = task
        self._proxy = proxy
        self._near = (reader, writer)
        self._far: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._closed: set[asyncio.StreamWriter] = set()

    async def forward(self, host: str, port: int) -> None:
        """Until one side ends, and with it the other; or until it is cancelled."""
        await self._proxy.passing(0)
        self._far = far_reader, far_writer = await asyncio.open_connection(host, port)
        near_reader, near_writer = self._near
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._pump(near_reader, far_writer))
                directions.create_task(self._pump(far_reader, near_writer, answers=True))
        except* OSError:
            pass  # one side ended, and with it the other
        finally:
            far_writer.transport.abort()

    def half_close(self, *, near: bool) -> None:
        """One side hears the end of what the other sends; the rest of that is dropped."""
        side = self._near if near else self._far
        if side is not None and side[1] not in self._closed:
            self._closed.add(side[1])
            with suppress(OSError):
                side[1].write_eof()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        *,
        answers: bool = False,
    ) -> None:
        while data := await source.read(self._proxy.piece()):
            await self._proxy.passing(len(data), answer=answers)
            if sink in self._closed:
                continue
            if sink.is_closing():
                break
            sink.write(data)
            await sink.drain()
            if answers:
                self._proxy.forwarded += len(data)
        raise ConnectionResetError("end of stream")
