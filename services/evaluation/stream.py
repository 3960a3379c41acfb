"""The life of one stream, whatever carries its bytes.

A stream is a cursor into its environment: it remembers the revision that it sent last, and
when it is woken it sends one change set from there to now. So bursts coalesce and what a
stream may hold is bounded by one frame.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from featmesh.sync.v1 import sync_pb2
from services.evaluation.feeds import ClockMs, Feed
from services.evaluation.frames import Frames, goodbye_frame, heartbeat_frame
from services.evaluation.limits import PLACE_SECONDS, WRITE_SECONDS
from services.evaluation.replica import Replica
from services.runtime.errors import Unavailable

log = logging.getLogger(__name__)

Write = Callable[[bytes], Awaitable[None]]
"""Hands a frame to the wire; returns when the reader's flow control has taken it."""

RECONNECT_JITTER_MS: Final = 5_000
"""SDKs that are told to go elsewhere spread over so long."""

_AGE_SPREAD: Final = 0.1
"""Streams end between 80 and 90 % of the maximum age, so that they do not end together."""


class SlowReader(Unavailable):
    """The reader took no frame for `WRITE_SECONDS`; it may resume.

    Its flow control is shut, so no Goodbye would reach it: the status has to say it.
    """

    reason = "SLOW_READER"


@dataclass(frozen=True, slots=True)
class Pace:
    """When a stream sends without being woken; seconds."""

    heartbeat: float = 25.0
    """Of silence, ± 20 %."""
    max_age: float = 3_600.0


class Stream:
    """One reader of one environment; it has joined the fan-out, and leaves it with `run`."""

    def __init__(
        self,
        replica: Replica,
        feed: Feed,
        pace: Pace,
        clock_ms: ClockMs,
        *,
        instance_id: str = "",
    ) -> None:
        self._replica = replica
        self._feed = feed
        self._pace = pace
        self._clock_ms = clock_ms
        self._sent = 0
        self._cursor = replica.hub.join()
        self._standing = replica.census.join(instance_id)

    def end(self, goodbye: bytes) -> None:
        """The stream writes this frame next and ends; the first call wins."""
        self._cursor.end(goodbye)

    async def run(self, since: int, write: Write) -> None:
        """Sends what is new since ``since``, then every change, until it is told to end.

        Returns after the Goodbye. Raises `SlowReader`.
        """
        try:
            await self._open(since, write)
            await self._follow(write)
        except SlowReader as error:
            log.warning(
                "environment %s: a stream is ended: %s", self._replica.environment_id, error
            )
            raise
        finally:
            self._replica.hub.leave(self._cursor)
            self._replica.census.leave(self._standing)
            self._replica.last_used = asyncio.get_running_loop().time()

    async def _open(self, since: int, write: Write) -> None:
        view, census = self._replica.view, self._replica.census
        self._sent = view.revision
        census.holds(self._standing, since)
        await self._send(self._feed.first(view, since), write)
        census.opened(self._standing, view.revision, self._clock_ms())

    async def _follow(self, write: Write) -> None:
        loop, cursor = asyncio.get_running_loop(), self._cursor
        end = loop.time() + self._pace.max_age * (0.9 - random.uniform(0, _AGE_SPREAD))  # noqa: S311 -- spreads load
        while cursor.goodbye is None:
            await self._catch_up(write)
            silence = self._pace.heartbeat * random.uniform(0.8, 1.2)  # noqa: S311 -- spreads load
            if await cursor.woken(min(silence, end - loop.time())):
                continue
            if loop.time() >= end:
                cursor.end(goodbye_frame(sync_pb2.GOODBYE_REASON_MAX_AGE, 0, RECONNECT_JITTER_MS))
            else:
                frame = heartbeat_frame(self._replica.view.revision, self._clock_ms())
                await self._send((frame,), write)
        await _write(cursor.goodbye, write)

    async def _catch_up(self, write: Write) -> None:
        """Sends what is newer than what was sent; what comes meanwhile wakes the cursor again."""
        view = self._replica.view
        if view.revision != self._sent:
            frames = self._feed.next(view, self._sent)
            self._sent = view.revision
            await self._send(frames, write)
            census = self._replica.census
            census.handed(self._standing, view.revision, self._clock_ms(), bool(frames))
        self._replica.hub.settled(self._cursor)

    async def _send(self, frames: Frames, write: Write) -> None:
        overdue = self._replica.hub.overdue
        timer = asyncio.get_running_loop().call_later(PLACE_SECONDS, overdue, self._cursor)
        try:
            for frame in frames:
                await _write(frame, write)
        finally:
            timer.cancel()


async def _write(frame: bytes, write: Write) -> None:
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await write(frame)
    except TimeoutError:
        raise SlowReader(f"a frame was not taken within {WRITE_SECONDS:g} seconds") from None
