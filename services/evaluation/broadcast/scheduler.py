"""Turns of the loop, one environment's after another's.

A push to thousands of streams takes longer than any other call should wait. So hubs work for
`TIME_SLICE_SECONDS` and then let the loop do everything else once; however many environments have
something to send, one slice at most lies between two looks at the loop's other work.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from services.evaluation.limits import TIME_SLICE_SECONDS


class Runnable(Protocol):
    """Has much to do, and can stop anywhere."""

    def work(self, until: float) -> bool:
        """Works until about then, and tells whether it could go on. It does not raise."""
        ...


class RoundRobinScheduler:
    """Of a process. ``now`` is the clock of `Runnable.work`."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._queue: OrderedDict[Runnable, None] = OrderedDict()
        self._is_due = False
        self._closed = False

    def ask(self, worker: Runnable) -> None:
        """It will have its turn, once, unless it has one coming."""
        if not self._closed:
            self._queue[worker] = None
            self._go_on()

    def close(self) -> None:
        """Nobody has a turn any more."""
        self._closed = True
        self._queue.clear()

    def _go_on(self) -> None:
        if self._queue and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        if self._queue:
            worker, _ = self._queue.popitem(last=False)
            if worker.work(self._now() + TIME_SLICE_SECONDS):
                self._queue[worker] = None
        self._go_on()
