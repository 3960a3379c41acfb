"""When streams are due without a change: a heartbeat in silence, a Goodbye at their age.

A timer wheel: streams stand in slots of `TICK_SECONDS`, and one tick visits the slots whose time
has come. A push moves nothing; a stream that was sent something since is put off when visited.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Final

from featmesh.sync.v1 import sync_pb2
from services.evaluation.broadcast.frames import goodbye_frame
from services.evaluation.broadcast.writes import WriteWatchdog
from services.evaluation.sync.stream import RECONNECT_JITTER_MS, Stream

TICK_SECONDS: Final = 0.5
"""Streams that are due within it share one pass: waking for each costs more than its frame."""

_SILENCE_SPREAD: Final = 0.2
"""A heartbeat comes so much later at most: those of streams that opened together drift apart."""

_AGE_SPREAD: Final = 0.1
"""Streams end between 80 and 90 % of the maximum age, so that they do not end together."""

_MAX_AGE: Final = goodbye_frame(sync_pb2.GOODBYE_REASON_MAX_AGE, 0, RECONNECT_JITTER_MS)


@dataclass(frozen=True, slots=True)
class TimerSettings:
    """When a stream sends without being woken; seconds."""

    heartbeat: float = 25.0
    """Of silence at least, and up to 20 % more."""
    max_age: float = 3_600.0


class StreamTimers:
    """Of all streams of a process, by the clock of ``watchdog``.

    `tick` is to be called every `TICK_SECONDS`.
    """

    def __init__(self, timer_settings: TimerSettings, watchdog: WriteWatchdog) -> None:
        self._pace = timer_settings
        self._watchdog = watchdog
        self._slots: dict[int, dict[Stream, None]] = {}
        self._shortest = timer_settings.heartbeat
        longest = timer_settings.heartbeat * (1 + _SILENCE_SPREAD)
        # A slot is visited so much after its time.
        self._spread = max(0.0, longest - 2 * TICK_SECONDS - timer_settings.heartbeat)
        self._visited = self._slot(watchdog.now())

    def add(self, stream: Stream) -> None:
        """A stream that was just handed its first change set."""
        now = self._watchdog.now()
        age = self._pace.max_age * (0.9 - random.uniform(0, _AGE_SPREAD))  # noqa: S311 -- spreads load
        stream.last_sent, stream.end_at = now, now + age
        self._put(stream, now)

    def forget(self, stream: Stream) -> None:
        """The stream has ended."""
        slot = self._slots.get(stream.slot)
        if slot is not None:
            slot.pop(stream, None)

    async def tick(self) -> None:
        """Visits the streams that are due."""
        now = self._watchdog.now()
        last = self._slot(now)
        for slot in range(self._visited, last):
            for stream in self._slots.pop(slot, ()):
                self._visit(stream, now)
            await asyncio.sleep(0)
        self._visited = last

    def _visit(self, stream: Stream, now: float) -> None:
        if now >= stream.end_at:
            stream.end(_MAX_AGE)
            return
        if now - stream.last_sent >= self._shortest:
            stream.owe_heartbeat()
            self._put(stream, now)
        else:
            self._put(stream, stream.last_sent)

    def _put(self, stream: Stream, since: float) -> None:
        due = since + self._shortest + self._spread * random.random()  # noqa: S311 -- spreads load
        number = max(self._slot(min(due, stream.end_at)), self._visited) + 1
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = {}
        slot[stream] = None
        stream.slot = number

    @staticmethod
    def _slot(moment: float) -> int:
        return int(moment / TICK_SECONDS)
