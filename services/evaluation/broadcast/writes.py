"""Sends that have to wait for their reader: who takes long, and who takes too long.

No timer is set for a send, which would cost as much as the send: one look at all that are
under way, every `LOOK_SECONDS` while there are any, finds those that are late.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple, cast

from services.evaluation.broadcast.frames import Frames
from services.evaluation.broadcast.scheduler import RoundRobinScheduler
from services.evaluation.broadcast.transport import FrameWriter
from services.evaluation.limits import PLACE_SECONDS, WRITE_SECONDS
from services.runtime.errors import Unavailable

LOOK_SECONDS: Final = 0.1
"""So much later than its time at most a send is found to be late."""

_IDLE: Final = float("inf")


class SlowReader(Unavailable):
    """The reader took no frame for `WRITE_SECONDS`; it may resume.

    Its flow control is shut, so no Goodbye would reach it: the status has to say it.
    """

    reason = "SLOW_READER"


class PendingWrite(NamedTuple):
    """A reader that has to be waited for: until it takes a frame, and what comes after that."""

    waiting: Awaitable[None]
    rest: Frames


def write_all(frames: Frames, writer: FrameWriter) -> PendingWrite | None:
    """Hands them over as far as the reader takes them; raises the wire's error."""
    for index, frame in enumerate(frames, 1):
        waiting = writer.try_write(frame)
        if waiting is not None:
            return PendingWrite(waiting, frames[index:])
    return None


class Send:
    """One task's sends, one after the other. Made and used in that task.

    ``overdue`` is called once, when a send takes longer than `PLACE_SECONDS`: whoever waits
    for this task's place need wait no longer.
    """

    __slots__ = ("_began", "_is_slow", "_overdue", "_task", "_watchdog")

    def __init__(self, watchdog: WriteWatchdog, overdue: Callable[[], None]) -> None:
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._watchdog = watchdog
        self._began = _IDLE
        self._overdue: Callable[[], None] | None = overdue
        self._is_slow = False

    @property
    def is_overdue(self) -> bool:
        """Whether the place was given away."""
        return self._overdue is None

    async def send(self, frames: Frames, writer: FrameWriter) -> None:
        """Returns when the reader has taken them all; raises as `finish` does."""
        pending = write_all(frames, writer)
        if pending is not None:
            await self.finish(pending, writer)

    async def finish(self, pending: PendingWrite, writer: FrameWriter) -> None:
        """Waits until everything is taken; raises `SlowReader`, or the wire's error."""
        left: PendingWrite | None = pending
        try:
            while left is not None:
                self._began = self._watchdog.now()
                await left.waiting
                left = write_all(left.rest, writer)
        except asyncio.CancelledError:
            if not self._is_slow:
                raise
            self._is_slow = False
            if self._task.uncancel():  # its owner cancelled it as well
                raise
            text = f"a frame was not taken within {WRITE_SECONDS:g} seconds"
            raise SlowReader(text) from None
        finally:
            self._began = _IDLE

    def __enter__(self) -> Send:
        self._watchdog.begin(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.active.discard(self)

    def look(self, now: float) -> None:
        """Gives the place away, or ends the send, when it is time to."""
        waited = now - self._began
        if waited > PLACE_SECONDS and self._overdue is not None:
            overdue, self._overdue = self._overdue, None
            overdue()
        if waited > WRITE_SECONDS and not self._is_slow:
            self._is_slow = True
            self._task.cancel()


class WriteWatchdog:
    """All of a process: the tasks that do nothing but send, and the turns of the hubs.

    ``now`` is the monotonic clock by which sends and the pace of streams are measured.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.scheduler = RoundRobinScheduler(now)
        self.active: set[Send] = set()
        self._drivers: set[asyncio.Task[None]] = set()
        self._next_look: asyncio.TimerHandle | None = None
        self._closed = False

    def begin(self, send: Send) -> None:
        """From now on it is looked at, until it is no longer active."""
        self.active.add(send)
        if self._next_look is None:
            self._look_later()

    def look(self) -> None:
        """At each of them, once."""
        now = self.now()
        for send in tuple(self.active):
            send.look(now)

    def _look_later(self) -> None:
        self._next_look = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_on)

    def _look_on(self) -> None:
        self._next_look = None
        self.look()
        if self.active:
            self._look_later()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs ``work`` to its end, or to `close`; does nothing after that."""
        if self._closed:
            work.close()
            return
        driver = asyncio.create_task(work, name="driver")
        self._drivers.add(driver)
        driver.add_done_callback(self._drivers.discard)

    async def close(self) -> None:
        """Cancels the drivers and waits for them."""
        self._closed = True
        if self._next_look is not None:
            self._next_look.cancel()
        self.scheduler.close()
        drivers = tuple(self._drivers)
        for driver in drivers:
            driver.cancel()
        await asyncio.gather(*drivers, return_exceptions=True)
