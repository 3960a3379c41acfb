"""Notices that a stream went silent although it looks open."""

from __future__ import annotations

import threading
from collections.abc import Callable

from featmesh.client.timing import Timing


class IdleWatchdog:
    """A thread that calls ``act`` whenever nothing was heard for ``limit`` seconds.

    A server that hangs, or a way to it that swallows everything, ends no stream; only the
    clock tells it from one with nothing to say, since that one sends heartbeats.
    """

    def __init__(self, *, limit: float, act: Callable[[], None], timing: Timing) -> None:
        self._limit = limit
        self._act = act
        self._timing = timing
        self._stopped = threading.Event()
        self._heard = timing.monotonic()
        self._thread = threading.Thread(target=self._run, name="featmesh-watch", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self.heard()
        self._thread.start()

    def heard(self) -> None:
        """Something came just now, or a new stream begins."""
        self._heard = self._timing.monotonic()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopped.set()

    def join(self, timeout: float) -> None:
        """Waits for the thread, unless it is the one that calls."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            remaining = self._heard + self._limit - self._timing.monotonic()
            if remaining <= 0:
                self._act()
                self.heard()
            else:
                self._timing.wait(self._stopped, remaining)
