"""The streams of one environment, and what hands them their frames.

A change is one pass over the streams, in turns of the loop that are short, since waking
thousands of streams together stalls every other call of the process (measured in sync.md). Most
readers take their frames at once; only one that does not costs a task that waits for it, and
only so many of these are waited for at once.

Changes that follow each other fast share passes: each begins in its time, so that pushes leave
the cores to what they wait for. Two passes may follow at once, as for two changes in a row.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from services.evaluation.broadcast.frames import Frames
from services.evaluation.broadcast.transport import FrameWriter
from services.evaluation.broadcast.writes import (
    PendingWrite,
    Send,
    SlowReader,
    WriteWatchdog,
    write_all,
)
from services.evaluation.limits import ROUND_SECONDS, ROUND_SECONDS_PER_STREAM, SEND_WINDOW

log = logging.getLogger(__name__)


class Endable(Protocol):
    """A stream as those see it who may end it."""

    def end(self, goodbye: bytes) -> None:
        """It writes this frame next and ends; the first call wins."""
        ...


class Subscriber(Endable, Protocol):
    """A stream as its broadcaster sees it: it keeps no queue, and says what is due when asked."""

    is_busy: bool
    """Somebody is sending for it: nobody else may, and it will be asked once more."""

    @property
    def writer(self) -> FrameWriter:
        """Where its frames go."""
        ...

    def take_due(self) -> Frames:
        """What it shall send next; nothing when it is up to date."""
        ...

    def taken(self) -> None:
        """The reader took what was due."""
        ...

    def disconnected(self) -> None:
        """The reader is gone."""
        ...

    def fail(self, error: Exception) -> None:
        """The reader did not take it, or what is due cannot be told: a fault of ours."""
        ...


async def end_in_turns(streams: Iterable[Endable], goodbye: bytes) -> None:
    """Ends them all, some at a time, so that other calls are answered between."""
    for count, stream in enumerate(tuple(streams)):
        stream.end(goodbye)
        if count % SEND_WINDOW == SEND_WINDOW - 1:
            await asyncio.sleep(0)


class Broadcaster:
    """The streams of one environment."""

    def __init__(self, watchdog: WriteWatchdog, window: int = SEND_WINDOW) -> None:
        self._watchdog = watchdog
        self._window = window
        self._streams: dict[Subscriber, None] = {}
        self._woken: OrderedDict[Subscriber, None] = OrderedDict()
        self._pass: list[Subscriber] = []
        """Those that this pass has not reached yet, the next one last."""
        self._is_behind = False
        """Something was announced that the streams before those may not have had."""
        self._pass_due = float("-inf")
        """When the next pass would begin if they came in their time."""
        self._timer: asyncio.TimerHandle | None = None
        self._places = 0
        self._closing: bytes | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def streams(self) -> tuple[Subscriber, ...]:
        """All of them, in order of joining."""
        return tuple(self._streams)

    def join(self, stream: Subscriber) -> None:
        """A new one. It is busy with its first change set until it says otherwise."""
        self._streams[stream] = None
        if self._closing is not None:
            stream.end(self._closing)

    def leave(self, stream: Subscriber) -> None:
        """It has ended."""
        self._streams.pop(stream, None)
        self._woken.pop(stream, None)

    def announce(self) -> None:
        """There is a new revision for every stream.

        Those that wait for the last one have both at once, the others when all have had that.
        """
        self._is_behind = True
        self._begin_pass()

    def wake(self, stream: Subscriber) -> None:
        """There is something for this stream."""
        if stream in self._streams:
            self._woken[stream] = None
            self._ask_for_a_turn()

    def work(self, until: float) -> bool:
        """Serves streams until about then; whether it could go on."""
        now = self._watchdog.now
        while self._can_go_on():
            stream = self._woken.popitem(last=False)[0] if self._woken else self._pass.pop()
            if not stream.is_busy and stream in self._streams:
                self._serve(stream)
            if now() >= until:
                break
        self._begin_pass()
        return self._can_go_on()

    async def close(self, goodbye: bytes) -> None:
        """Every stream writes this frame next and ends, also one that joins later."""
        self._closing = goodbye
        await end_in_turns(self._streams, goodbye)

    def _begin_pass(self) -> None:
        """If one is owed, the last one is over, and it is time; else when it is."""
        if not self._is_behind or self._pass or self._timer is not None:
            return
        now = self._watchdog.now()
        length = min(len(self._streams) * ROUND_SECONDS_PER_STREAM, ROUND_SECONDS)
        early = self._pass_due - length - now  # one may come before its time
        if early > 0:
            self._timer = asyncio.get_running_loop().call_later(early, self._on_time)
            return
        self._pass_due = max(self._pass_due, now) + length
        self._is_behind = False
        self._pass = [*reversed(self._streams)]
        self._ask_for_a_turn()

    def _on_time(self) -> None:
        self._timer = None
        self._begin_pass()

    def _can_go_on(self) -> bool:
        return self._places < self._window and bool(self._pass or self._woken)

    def _ask_for_a_turn(self) -> None:
        if self._can_go_on():
            self._watchdog.scheduler.ask(self)

    def _serve(self, stream: Subscriber) -> None:
        stream.is_busy = True
        try:
            frames = stream.take_due()
            if frames:
                try:
                    pending = write_all(frames, stream.writer)
                except Exception as error:  # noqa: BLE001 -- each adapter has its own for a reader that is gone
                    _disconnect(stream, error)
                else:
                    if pending is not None:
                        self._wait_for(pending, stream)
                        return
                    stream.taken()
        except Exception as error:  # noqa: BLE001 -- one stream's fault is not that of the others
            stream.fail(error)
        stream.is_busy = False

    def _wait_for(self, pending: PendingWrite, stream: Subscriber) -> None:
        self._places += 1
        self._watchdog.spawn(self._finish(pending, stream))

    async def _finish(self, pending: PendingWrite, stream: Subscriber) -> None:
        with Send(self._watchdog, self._give_place) as send:
            try:
                await send.finish(pending, stream.writer)
                stream.taken()
            except SlowReader as error:
                stream.fail(error)
            except Exception as error:  # noqa: BLE001 -- as in `_serve`
                _disconnect(stream, error)
            finally:
                stream.is_busy = False
                if not send.is_overdue:
                    self._give_place()
        self.wake(stream)  # for what came meanwhile

    def _give_place(self) -> None:
        self._places -= 1
        self._ask_for_a_turn()


def _disconnect(stream: Subscriber, error: Exception) -> None:
    log.debug("a reader is gone: %r", error)
    stream.disconnected()
