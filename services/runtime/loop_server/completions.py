"""What gRPC's core has completed, handled on the event loop.

A thread waits for the core. What it finds it hands to the loop, and then it rests: as long as
the loop has something to do, the loop asks the core by itself, which costs no switch of threads.
Only when nothing is left does the thread wait again.

A loop that begins to send while the thread waits lets it find the first event and rest. Else the
two would contend for the interpreter from one message to the next, each woken by the other.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from grpc._cython import cygrpc  # type: ignore[attr-defined]

log = logging.getLogger(__name__)

Event = Any
"""What cygrpc tells of a batch, a new call, or the end of a server."""

Tag = Callable[[Event], None]
"""Called on the loop with the event of the batch that it was given to."""

EVENTS_AT_ONCE: Final = 64
"""Handled before the loop's other work has its turn."""

AT_ONCE: Final = 0
"""A deadline that has passed: the core is asked, not waited for."""

HAND_OVER_SECONDS: Final = 0.0005
"""How long the loop stands still, once, for the thread to find an event that should be there."""


class Completions:
    """A completion queue of the core. Made and used on one event loop."""

    def __init__(self) -> None:
        self.queue: Any = cygrpc.CompletionQueue()
        self._poll: Callable[..., Event] = self.queue.poll
        self._loop = asyncio.get_running_loop()
        self._found: Event | None = None
        self._handed_over = threading.Lock()
        self._rests = False
        self._was_waited_for = False
        self._is_busy = False
        self._go_on = threading.Lock()
        self._thread = threading.Thread(target=self._wait, name="grpc core", daemon=True)
        self._handed_over.acquire()
        self._go_on.acquire()

    def start(self) -> None:
        """Events are handled from now on."""
        self._thread.start()

    def begin(self, call: Any, operations: tuple[Any, ...], tag: Tag) -> None:
        """Gives the core a batch of a call. Raises when the call cannot take it."""
        self._is_busy = True
        call.start_server_batch(operations, tag)

    def next(self) -> Event:
        """What has completed next; its tag is None if nothing has. Who asks, handles it.

        To be asked after something was given to the core that it may have completed at once.
        """
        if self._rests or self._was_waited_for:
            return self._poll(deadline=AT_ONCE)
        self._was_waited_for = True
        if not self._take_over(HAND_OVER_SECONDS):
            return self._poll(deadline=AT_ONCE)
        return self._take_found()

    def handle_one(self) -> bool:
        """Handles what has completed next; False if nothing has."""
        event = self._poll(deadline=AT_ONCE)
        self.handle(event)
        return event.tag is not None

    def handle(self, event: Event) -> None:
        """Tells of it whom it concerns, if anybody."""
        try:
            if event.tag is not None:
                event.tag(event)
        except Exception:
            log.exception("an event of gRPC's core was not handled")  # the other calls go on

    async def close(self) -> None:
        """To be called when nothing is under way any more."""
        self.queue.shutdown()
        if self._rests:
            self._release()
        await asyncio.to_thread(self._thread.join)

    def _wait(self) -> None:
        while (event := self._poll(deadline=None)).tag is not None:
            self._found = event
            del event  # it may hold the last reference to a call
            self._handed_over.release()
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop was closed under a server that was never stopped
                return
            self._go_on.acquire()

    def _take_over(self, seconds: float) -> bool:
        """Whether the thread has found something within that time, and rests."""
        self._rests = self._handed_over.acquire(timeout=seconds)
        return self._rests

    def _take_found(self) -> Event | None:
        event, self._found = self._found, None
        return event

    def _wake(self) -> None:
        if self._rests or self._take_over(0):
            event = self._take_found()
            if event is not None:  # else `next` has given it away already
                self.handle(event)
            self._handle_all()

    def _handle_all(self) -> None:
        """Once in every turn of the loop while the thread rests."""
        for _ in range(EVENTS_AT_ONCE):
            if not self.handle_one():
                break
        else:
            self._is_busy = True
        if self._is_busy:
            self._is_busy = False
            self._loop.call_soon(self._handle_all)
        elif self._rests:
            self._release()

    def _release(self) -> None:
        """The thread waits again."""
        self._rests = self._was_waited_for = False
        self._go_on.release()
