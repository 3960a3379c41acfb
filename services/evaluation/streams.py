"""Serves a stream over any transport: what is new, heartbeats, and one last frame."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from featmesh.sync.v1 import sync_pb2
from services.evaluation.clock import now_ms
from services.evaluation.frames import Frames, goodbye_frame, heartbeat_frame
from services.evaluation.hub import Cursor
from services.evaluation.limits import STALL_SECONDS, WRITE_SECONDS
from services.evaluation.replica import Replica
from services.evaluation.view import View
from services.runtime.errors import Unavailable

log = logging.getLogger(__name__)

_DRAINING: Final = goodbye_frame(sync_pb2.GOODBYE_REASON_DRAINING, 0, 2_000)
_MAX_AGE: Final = goodbye_frame(sync_pb2.GOODBYE_REASON_MAX_AGE, 0, 5_000)
_SLOW_READER: Final = goodbye_frame(sync_pb2.GOODBYE_REASON_SLOW_READER, 1_000, 10_000)
_KEY_REVOKED: Final = goodbye_frame(sync_pb2.GOODBYE_REASON_KEY_REVOKED, 60_000, 60_000)

DRAIN_BATCHES: Final = 20
"""Goodbyes of a drain are spread over its window in so many steps."""


class Sink(Protocol):
    """A transport's side of one stream."""

    async def write(self, frame: bytes) -> None:
        """Returns when the transport has taken the frame; raises when the peer is gone."""
        ...


class Feed(Protocol):
    """What one stream shows of an environment, and how far it has come."""

    def frames(self, view: View) -> Frames:
        """What leads the reader from its place to this view, which is its place then.

        The first time at least one frame; later none if nothing changed for this reader.
        """
        ...


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Times in seconds."""

    heartbeat: float = 25.0
    """Between two heartbeats, give or take a fifth."""
    max_age: float = 3_600.0
    """A stream is ended at 80 to 90 % of it, so that streams of one moment end apart."""
    write: float = WRITE_SECONDS
    """A reader that does not take a frame for so long is ended."""


class Streams:
    """All streams of the process, until it drains."""

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._open: dict[Stream, None] = {}
        self._draining = False

    def __len__(self) -> int:
        return len(self._open)

    async def serve(
        self, replica: Replica, feed: Feed, sink: Sink, still_valid: Callable[[], Awaitable[bool]]
    ) -> None:
        """Returns after the last frame; ``still_valid`` says whether the key still opens it."""
        if self._draining:
            raise Unavailable("this server is stopping; connect to another one")
        stream = Stream(replica, feed, sink, self._settings)
        self._open[stream] = None
        try:
            await stream.run(still_valid)
        finally:
            del self._open[stream]

    async def drain(self, window: float) -> None:
        """Tells every stream to go elsewhere, in batches over ``window`` seconds."""
        self._draining = True
        streams = list(self._open)
        size = -(-len(streams) // DRAIN_BATCHES) or 1
        for start in range(0, len(streams), size):
            if start:
                await asyncio.sleep(window / DRAIN_BATCHES)
            for stream in streams[start : start + size]:
                stream.end(_DRAINING)


class Stream:
    """One reader: a cursor into its environment. It keeps no queue.

    A reader that does not take a frame gives its place among the sends outstanding to the
    next one after `STALL_SECONDS`, and is out of the fan-out after ``settings.write``: its
    goodbye follows the frame that it is stuck in, whenever it takes that.
    """

    def __init__(
        self, replica: Replica, feed: Feed, sink: Sink, settings: StreamSettings
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._replica = replica
        self._feed = feed
        self._sink = sink
        self._settings = settings
        self._cursor: Cursor = replica.hub.join()
        self._ends_at = self._loop.time() + settings.max_age * _between(0.8, 0.9)
        self._pulse_at = self._next_pulse()
        self._timer: asyncio.TimerHandle | None = None

    def end(self, goodbye: bytes) -> None:
        """The stream writes this frame next and ends."""
        self._cursor.end(goodbye)

    async def run(self, still_valid: Callable[[], Awaitable[bool]]) -> None:
        """Until there is a last frame, or the peer is gone."""
        cursor, hub = self._cursor, self._replica.hub
        try:
            while cursor.goodbye is None:
                view = self._replica.view
                await self._send(self._feed.frames(view))
                hub.settled(cursor)
                if self._loop.time() >= self._pulse_at:
                    await self._pulse(view, still_valid)
                if await cursor.woken(min(self._pulse_at, self._ends_at) - self._loop.time()):
                    continue
                if self._loop.time() >= self._ends_at:
                    cursor.end(_MAX_AGE)
            await self._sink.write(cursor.goodbye)
        finally:
            hub.leave(cursor)

    async def _pulse(self, view: View, still_valid: Callable[[], Awaitable[bool]]) -> None:
        self._pulse_at = self._next_pulse()
        if not await still_valid():
            self._cursor.end(_KEY_REVOKED)
            return
        await self._send((heartbeat_frame(view.revision, now_ms()),))

    async def _send(self, frames: Frames) -> None:
        for frame in frames:
            if self._cursor.goodbye is not None:
                return  # a change set without its last part is not applied
            self._timer = self._loop.call_later(STALL_SECONDS, self._stalls)
            try:
                await self._sink.write(frame)
            finally:
                self._timer.cancel()

    def _stalls(self) -> None:
        self._replica.hub.settled(self._cursor)
        left = max(self._settings.write - STALL_SECONDS, 0)
        self._timer = self._loop.call_later(left, self._is_too_slow)

    def _is_too_slow(self) -> None:
        self._replica.hub.leave(self._cursor)
        self._cursor.end(_SLOW_READER)
        log.warning("environment %s: ended a slow reader", self._replica.environment_id)

    def _next_pulse(self) -> float:
        return self._loop.time() + self._settings.heartbeat * _between(0.8, 1.2)


def _between(low: float, high: float) -> float:
    return random.uniform(low, high)  # noqa: S311 -- spreads load, keeps no secret
