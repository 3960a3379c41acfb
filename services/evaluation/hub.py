"""Wakes an environment's streams: one pass for each change, only so many sends at once.

Waking thousands of streams together stalls every other call of the process; with a window,
each finished send wakes the next stream, at the same cost (measured in sync.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from services.evaluation.limits import SEND_WINDOW


class Cursor:
    """A stream's place in its hub. It keeps no queue: only whether there is something new."""

    __slots__ = ("_event", "goodbye")

    def __init__(self) -> None:
        self.goodbye: bytes | None = None
        """The stream's last frame, once it is to end."""
        self._event = asyncio.Event()

    def wake(self) -> None:
        """There is something new, or the stream is to end."""
        self._event.set()

    def end(self, goodbye: bytes) -> None:
        """The stream writes this frame next and ends; the first call wins."""
        if self.goodbye is None:
            self.goodbye = goodbye
        self._event.set()

    async def woken(self, seconds: float) -> bool:
        """Waits to be woken, for so long at most; False when nothing woke it."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Endable(Protocol):
    """A stream, or its place in the hub."""

    def end(self, goodbye: bytes) -> None:
        """It writes this frame next and ends; the first call wins."""
        ...


async def end_in_turns(streams: Iterable[Endable], goodbye: bytes) -> None:
    """Ends them all, some at a time, so that other calls are answered between."""
    for count, stream in enumerate(tuple(streams)):
        stream.end(goodbye)
        if count % SEND_WINDOW == SEND_WINDOW - 1:
            await asyncio.sleep(0)


class Hub:
    """The streams of one environment."""

    def __init__(self, window: int = SEND_WINDOW) -> None:
        self._window = window
        self._cursors: dict[Cursor, None] = {}
        self._waiting: dict[Cursor, None] = {}
        self._awake: set[Cursor] = set()
        self._overdue: set[Cursor] = set()
        self._closing: bytes | None = None

    def __len__(self) -> int:
        return len(self._cursors)

    def cursors(self) -> tuple[Cursor, ...]:
        """All streams, in order of joining."""
        return tuple(self._cursors)

    def join(self) -> Cursor:
        """A new stream, which sends what is current before it first waits."""
        cursor = Cursor()
        self._cursors[cursor] = None
        if self._closing is not None:
            cursor.end(self._closing)
        return cursor

    async def close(self, goodbye: bytes) -> None:
        """Every stream writes this frame next and ends, also one that joins later."""
        self._closing = goodbye
        await end_in_turns(self._cursors, goodbye)

    def leave(self, cursor: Cursor) -> None:
        """The stream has ended."""
        self._cursors.pop(cursor, None)
        self._waiting.pop(cursor, None)
        self.settled(cursor)

    def announce(self) -> None:
        """There is a new revision: every stream is woken, within the window."""
        self._waiting.update(self._cursors)
        self._fill()

    def settled(self, cursor: Cursor) -> None:
        """The stream has sent all it had, so that the next one is woken."""
        self._overdue.discard(cursor)
        self._awake.discard(cursor)
        self._fill()

    def overdue(self, cursor: Cursor) -> None:
        """The stream takes long to send: until it has settled it keeps no place from others."""
        self._overdue.add(cursor)
        self._awake.discard(cursor)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._awake) < self._window:
            cursor = next(iter(self._waiting))
            del self._waiting[cursor]
            if cursor not in self._overdue:
                self._awake.add(cursor)
            cursor.wake()
