"""Streams without a network: what a transport would carry, taken by hand."""

from __future__ import annotations

import asyncio

from featmesh.sync.v1.sync_pb2 import ResumeToken
from services.evaluation.broadcast.writes import WriteWatchdog
from services.evaluation.replica.replica import Replica
from services.evaluation.sync.admission import Admission
from services.evaluation.sync.feeds import DefinitionFeed
from services.evaluation.sync.stream import Stream, StreamDeps
from services.evaluation.sync.timers import StreamTimers, TimerSettings


class ReaderWire:
    """A reader's side of a stream, which takes frames while its valve is open."""

    def __init__(self, *, takes: bool = True) -> None:
        self.valve = asyncio.Event()
        self.offered = asyncio.Event()
        self.frames: list[bytes] = []
        self._got = asyncio.Condition()
        if takes:
            self.valve.set()

    async def try_write(self, frame: bytes) -> None:
        """See `FrameWriter`."""
        self.offered.set()
        await self.valve.wait()
        async with self._got:
            self.frames.append(frame)
            self._got.notify_all()

    async def takes(self, count: int) -> None:
        """Returns when so many frames have been taken in all."""
        async with self._got:
            await self._got.wait_for(lambda: len(self.frames) >= count)


def new_traffic(sends: WriteWatchdog, pace: TimerSettings | None = None) -> StreamDeps:
    """What streams share; the clock stands still."""
    return StreamDeps(sends, StreamTimers(pace or TimerSettings(), sends), Admission(), lambda: 0)


class Reader:
    """A running stream of definitions and its wire."""

    def __init__(self, replica: Replica, traffic: StreamDeps, *, takes: bool = True) -> None:
        self.writer = ReaderWire(takes=takes)
        self.stream = Stream(replica, DefinitionFeed(), self.writer, traffic)
        self.task = asyncio.create_task(self.stream.run(ResumeToken()))

    async def close(self) -> None:
        """The reader goes away."""
        self.task.cancel()
        await asyncio.wait({self.task})


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self._now = 1_000.0

    def __call__(self) -> float:
        """Seconds."""
        return self._now

    def move(self, seconds: float) -> None:
        """Later by so much."""
        self._now += seconds
