"""Writes at random to several environments at once, until it is told to pause."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from tests.chaos.lane import Lane

PAUSE_SECONDS: Final = 0.15
"""At most, between two operations of one lane."""


class Writer:
    """The lanes, each of which does one thing after another."""

    def __init__(self, lanes: Sequence[Lane], seed: str) -> None:
        self._lanes = lanes
        self._dice = random.Random(f"{seed}/pauses")
        self._writing = asyncio.Event()
        self._turns = [asyncio.Lock() for _ in lanes]

    def resume(self) -> None:
        """Writes go on."""
        self._writing.set()

    async def pause(self) -> None:
        """Returns when no write is under way: the outcome of every one is known."""
        self._writing.clear()
        for turn in self._turns:
            async with turn:
                pass

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Within, nothing is written."""
        await self.pause()
        yield
        self.resume()

    async def run(self) -> None:
        """Until it is cancelled; an operation that no fault explains is raised."""
        async with asyncio.TaskGroup() as group:
            for lane, turn in zip(self._lanes, self._turns, strict=True):
                group.create_task(self._run(lane, turn))

    async def _run(self, lane: Lane, turn: asyncio.Lock) -> None:
        while True:
            await self._writing.wait()
            async with turn:
                if self._writing.is_set():
                    await lane.step()
            await asyncio.sleep(self._dice.uniform(0, PAUSE_SECONDS))
