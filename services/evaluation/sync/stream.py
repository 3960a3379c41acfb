"""The life of one stream, whatever carries its bytes.

A stream is a cursor into its environment: it remembers the revision that it was handed last,
and is handed one change set from there to now when its turn comes. So bursts coalesce, and what
a stream may hold is bounded by one frame.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, Protocol

from featmesh.sync.v1.sync_pb2 import ResumeToken
from services.evaluation.broadcast.frames import Frames, Kind, heartbeat_frame
from services.evaluation.broadcast.transport import FrameWriter
from services.evaluation.broadcast.writes import Send, SlowReader, WriteWatchdog
from services.evaluation.clock import ClockMs
from services.evaluation.replica.replica import Replica
from services.evaluation.sync.admission import Admission
from services.evaluation.sync.feeds import Feed

log = logging.getLogger(__name__)

RECONNECT_JITTER_MS: Final = 5_000
"""SDKs that are told to go elsewhere spread over so long."""


class Timers(Protocol):
    """What tells a stream when it is due without a change; `timers.StreamTimers`."""

    def add(self, stream: Stream) -> None:
        """A stream that was just handed its first change set."""
        ...

    def forget(self, stream: Stream) -> None:
        """The stream has ended."""
        ...


@dataclass(frozen=True, slots=True)
class StreamDeps:
    """What all streams of a process share."""

    watchdog: WriteWatchdog
    timers: Timers
    admission: Admission
    clock_ms: ClockMs


class Stream:
    """One reader of one environment; it has joined the fan-out, and leaves it with `run`.

    ``last_sent``, ``end_at`` and ``slot`` are the timers': seconds of the clock of
    `WriteWatchdog`, and where the stream stands.
    """

    __slots__ = (
        "_deps",
        "_ended",
        "_feed",
        "_goodbye",
        "_is_over",
        "_owes_heartbeat",
        "_position",
        "_replica",
        "_sent",
        "_tells",
        "end_at",
        "is_busy",
        "last_sent",
        "slot",
        "writer",
    )

    def __init__(
        self,
        replica: Replica,
        feed: Feed,
        writer: FrameWriter,
        deps: StreamDeps,
        *,
        instance_id: str = "",
    ) -> None:
        self.writer = writer
        self.is_busy = True
        self.last_sent = self.end_at = 0.0
        self.slot = 0
        self._replica = replica
        self._feed = feed
        self._deps = deps
        self._sent = 0
        self._tells = 0
        self._goodbye: bytes | None = None
        self._owes_heartbeat = False
        self._is_over = False
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._position = replica.progress.join(instance_id)
        replica.broadcaster.join(self)

    def end(self, goodbye: bytes) -> None:
        """It writes this frame next and ends; the first call wins."""
        if self._goodbye is None:
            self._goodbye = goodbye
            self._replica.broadcaster.wake(self)

    def owe_heartbeat(self) -> None:
        """It was silent for long."""
        self._owes_heartbeat = True
        self._replica.broadcaster.wake(self)

    async def run(self, held: ResumeToken) -> None:
        """Hands over what is new to who holds this, then every change, until told to end.

        Returns after the Goodbye. Raises `SlowReader`, `TooManyFirstSyncs`.
        """
        try:
            await self._open(held)
            self._deps.timers.add(self)
            self.is_busy = False
            self._replica.broadcaster.wake(self)  # for what came meanwhile
            await self._ended
        except SlowReader as error:
            self._replica.counts.slow_readers += 1
            log.warning(
                "environment %s: a stream is ended: %s", self._replica.environment_id, error
            )
            raise
        finally:
            self._replica.broadcaster.leave(self)
            self._replica.progress.leave(self._position)
            self._deps.timers.forget(self)
            self._replica.last_used = asyncio.get_running_loop().time()

    def take_due(self) -> Frames:
        """What it shall send next; nothing when it is up to date."""
        if self._is_over:
            return ()
        if self._goodbye is not None:
            return (self._goodbye,)
        view = self._replica.view
        if view.revision != self._sent:
            frames = self._feed.next(view, self._sent)
            self._sent = view.revision
            if frames:
                self._tells = view.revision
                return frames
            self._replica.progress.delivered(
                self._position, self._sent, self._deps.clock_ms(), is_new=False
            )
        if self._owes_heartbeat:
            self._owes_heartbeat = False
            return (heartbeat_frame(view.revision, self._deps.clock_ms()),)
        return ()

    def taken(self) -> None:
        """The reader took what was due."""
        deps = self._deps
        self.last_sent = deps.watchdog.now()
        if self._goodbye is not None:
            self._is_over = True
            if not self._ended.done():
                self._ended.set_result(None)
        elif self._tells:
            self._tells = 0
            replica = self._replica
            replica.counts.pushes += 1
            replica.progress.delivered(self._position, self._sent, deps.clock_ms(), is_new=True)

    def disconnected(self) -> None:
        """The reader is gone."""
        self._is_over = True
        self._ended.cancel()

    def fail(self, error: Exception) -> None:
        """The reader did not take it, or what is due cannot be told."""
        self._is_over = True
        if not self._ended.done():
            self._ended.set_exception(error)
            self._ended.exception()  # `run` may have been cancelled meanwhile and ask no more

    async def _open(self, held: ResumeToken) -> None:
        # Joined before: no replica is dropped while a stream waits for it to catch up.
        replica = self._replica
        is_known = await replica.continues(held)
        replica.progress.holds(self._position, held.revision if is_known else 0)
        async with self._deps.admission.turn(replica.environment_id) as permit:
            if self._goodbye is not None:
                return
            view = replica.view
            self._sent = view.revision
            # The epoch may be another one by now.
            since = held.revision if is_known and held.epoch == view.epoch else 0
            kind, frames = self._feed.first(view, since)
            with Send(self._deps.watchdog, permit.give_back) as send:
                await send.send(frames, self.writer)
        replica.progress.opened(self._position, view.revision, self._deps.clock_ms())
        if kind is Kind.PATCH:
            replica.counts.patch_syncs += 1
        else:
            replica.counts.full_syncs += 1
