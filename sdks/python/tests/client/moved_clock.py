"""A clock that stands still until the test moves it, and waits that end by it."""

from __future__ import annotations

import threading

from featmesh.client.timing import Timing

from .stage import LIMIT

LOOK = 0.002
"""Seconds between two looks at an event that somebody else sets."""


class MovedClock:
    """Remembers every wait that was asked for, by the name of the thread that waits."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._now = 1_000.0
        self._waiting: dict[str, float] = {}
        self.random_source = 1.0

    def timing(self) -> Timing:
        return Timing(
            monotonic=lambda: self._now,
            wall_ns=lambda: int(self._now * 1_000_000_000),
            random=lambda: self.random_source,
            wait=self._wait,
        )

    def advance(self, seconds: float) -> None:
        with self._condition:
            self._now += seconds
            self._condition.notify_all()

    def next_wait(self, thread: str) -> float:
        """How long this thread waits from now on, once it does."""
        with self._condition:
            assert self._condition.wait_for(lambda: thread in self._waiting, LIMIT)
            return self._waiting[thread] - self._now

    def _wait(self, event: threading.Event, seconds: float) -> bool:
        name = threading.current_thread().name
        with self._condition:
            until = self._waiting[name] = self._now + seconds
            self._condition.notify_all()
            while not event.is_set() and self._now < until:
                self._condition.wait(LOOK)
            del self._waiting[name]
        return event.is_set()
