"""Streams without a network: what a transport would carry, taken by hand."""

from __future__ import annotations

import asyncio

from services.evaluation.broadcast.writes import Sends
from services.evaluation.replica.replica import Replica
from services.evaluation.sync.admission import Admission
from services.evaluation.sync.feeds import DefinitionFeed
from services.evaluation.sync.stream import Stream, Traffic
from services.evaluation.sync.timers import Pace, Pacer


class ReaderWire:
    """A reader's side of a stream, which takes frames while its valve is open."""

    def __init__(self, *, takes: bool = True) -> None:
        self.valve = asyncio.Event()
        self.offered = asyncio.Event()
        self.frames: list[bytes] = []
        self._got = asyncio.Condition()
        if takes:
            self.valve.set()

    async def offer(self, frame: bytes) -> None:
        """See `Wire`."""
        self.offered.set()
        await self.valve.wait()
        async with self._got:
            self.frames.append(frame)
            self._got.notify_all()

    async def takes(self, count: int) -> None:
        """Returns when so many frames have been taken in all."""
        async with self._got:
            await self._got.wait_for(lambda: len(self.frames) >= count)


def new_traffic(sends: Sends, pace: Pace | None = None) -> Traffic:
    """What streams share; the clock stands still."""
    return Traffic(sends, Pacer(pace or Pace(), sends), Admission(), lambda: 0)


class Reader:
    """A running stream of definitions and its wire."""

    def __init__(self, replica: Replica, traffic: Traffic, *, takes: bool = True) -> None:
        self.wire = ReaderWire(takes=takes)
        self.stream = Stream(replica, DefinitionFeed(), self.wire, traffic)
        self.task = asyncio.create_task(self.stream.run(0))

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
