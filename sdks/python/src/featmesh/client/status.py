"""How current a client is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum

from featmesh.client.timing import Timing


class Status(StrEnum):
    """How current a client is.

    INITIALIZING holds no data; READY is current; STALE serves what it last heard, or what
    a file held; OFFLINE was told never to connect; CLOSED was closed.
    """

    INITIALIZING = "INITIALIZING"
    READY = "READY"
    STALE = "STALE"
    OFFLINE = "OFFLINE"
    CLOSED = "CLOSED"


class Freshness:
    """What the stream's thread has heard, and what others conclude from it.

    Args:
        staleness: Seconds without a frame after which data is no longer current.
        timing: The clock.
        ready: Set once there is data; several users' streams may share it.
        offline: Nothing will ever be heard, and nobody shall wait for it.
        changed: Called with each status that differs from the one before, from the
            thread that brought it about.
    """

    def __init__(
        self,
        *,
        staleness: float,
        timing: Timing,
        ready: threading.Event | None = None,
        offline: bool = False,
        changed: Callable[[Status], None] = lambda _status: None,
    ) -> None:
        self._staleness = staleness
        self._timing = timing
        self._ready = ready or threading.Event()
        self._offline = offline
        self._changed = changed
        self._last_frame: float | None = None
        self._closed = False
        self._announced = self.status
        if offline:
            self._ready.set()

    def frame_received(self) -> None:
        """The stream is alive now."""
        self._last_frame = self._timing.monotonic()
        self._announce()

    def stream_ended(self) -> None:
        """The stream is down."""
        self._last_frame = None
        self._announce()

    def data_applied(self) -> None:
        """The client holds data from now on."""
        self._ready.set()
        self._announce()

    def close(self) -> None:
        """Nothing will be heard any more; wakes whoever waits for data."""
        self._closed = True
        self._ready.set()
        self._announce()

    def reset_after_fork(self) -> None:
        """Replaces what another process's threads may hold locked; the stream is down."""
        had_data = self._ready.is_set()
        self._ready = threading.Event()
        if had_data:
            self._ready.set()
        self.stream_ended()

    def wait_until_ready(self, timeout: float | None) -> bool:
        """Waits up to ``timeout`` seconds; True when there is data to serve."""
        return self._ready.wait(timeout) and not self._closed

    @property
    def status(self) -> Status:
        """The status at this moment."""
        if self._closed:
            return Status.CLOSED
        if self._offline:
            return Status.OFFLINE
        if not self._ready.is_set():
            return Status.INITIALIZING
        last = self._last_frame
        current = last is not None and self._timing.monotonic() - last < self._staleness
        return Status.READY if current else Status.STALE

    def _announce(self) -> None:
        status = self.status
        if status is not self._announced:
            self._announced = status
            self._changed(status)
