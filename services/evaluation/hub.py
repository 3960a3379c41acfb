"""The streams of one environment, and what hands them their frames.

A change is one pass over the streams. Only so many sends are outstanding at once, each by a
driver: a task that takes the next stream as soon as its last one has taken its frames. Waking
thousands of streams together stalls every other call of the process (measured in sync.md), and
a task for each stream costs twice as much as a driver's send (docs/benchmarks/push.md).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Protocol

from services.evaluation.frames import Frames
from services.evaluation.limits import SEND_WINDOW
from services.evaluation.sending import Send, Sends, SlowReader
from services.evaluation.transport import Wire

log = logging.getLogger(__name__)


class Endable(Protocol):
    """A stream as those see it who may end it."""

    def end(self, goodbye: bytes) -> None:
        """It writes this frame next and ends; the first call wins."""
        ...


class Member(Endable, Protocol):
    """A stream as its hub sees it: it keeps no queue, and says what is due when asked."""

    is_busy: bool
    """Somebody is sending for it: nobody else may, and it will be asked once more."""

    @property
    def wire(self) -> Wire:
        """Where its frames go."""
        ...

    def take_due(self) -> Frames:
        """What it shall send next; nothing when it is up to date."""
        ...

    def taken(self) -> None:
        """The reader took what was due."""
        ...

    def lose(self) -> None:
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


class Hub:
    """The streams of one environment."""

    def __init__(self, sends: Sends, window: int = SEND_WINDOW) -> None:
        self._sends = sends
        self._window = window
        self._streams: dict[Member, None] = {}
        self._waiting: dict[Member, None] = {}
        self._places = 0
        self._closing: bytes | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def streams(self) -> tuple[Member, ...]:
        """All of them, in order of joining."""
        return tuple(self._streams)

    def join(self, stream: Member) -> None:
        """A new one. It is busy with its first change set until it says otherwise."""
        self._streams[stream] = None
        if self._closing is not None:
            stream.end(self._closing)

    def leave(self, stream: Member) -> None:
        """It has ended."""
        self._streams.pop(stream, None)
        self._waiting.pop(stream, None)

    def announce(self) -> None:
        """There is a new revision for every stream."""
        self._waiting.update(self._streams)
        self._fill()

    def wake(self, stream: Member) -> None:
        """There is something for this stream."""
        if stream in self._streams:
            self._waiting[stream] = None
            self._fill()

    async def close(self, goodbye: bytes) -> None:
        """Every stream writes this frame next and ends, also one that joins later."""
        self._closing = goodbye
        await end_in_turns(self._streams, goodbye)

    def _fill(self) -> None:
        needed = min(self._window - self._places, len(self._waiting))
        for _ in range(needed):
            self._places += 1
            self._sends.drive(self._drive())

    async def _drive(self) -> None:
        with Send(self._sends, self._give_place) as send:
            try:
                while self._waiting and not send.is_overdue:
                    stream = next(iter(self._waiting))
                    del self._waiting[stream]
                    if not stream.is_busy:
                        await _bring_up_to_date(stream, send)
            finally:
                if not send.is_overdue:
                    self._give_place()

    def _give_place(self) -> None:
        self._places -= 1
        self._fill()


async def _bring_up_to_date(stream: Member, send: Send) -> None:
    stream.is_busy = True
    try:
        while (frames := stream.take_due()) and await _sent(frames, stream, send):
            stream.taken()
    except Exception as error:  # noqa: BLE001 -- one stream's fault is not that of the others
        stream.fail(error)
    finally:
        stream.is_busy = False


async def _sent(frames: Frames, stream: Member, send: Send) -> bool:
    try:
        await send.send(frames, stream.wire)
    except SlowReader:
        raise
    except Exception as error:  # noqa: BLE001 -- each adapter has its own for a reader that is gone
        log.debug("a reader is gone: %r", error)
        stream.lose()
        return False
    return True
