"""How current a client is."""

from __future__ import annotations

import threading
from enum import StrEnum

from featmesh.client.timing import Timing


class Status(StrEnum):
    """INITIALIZING holds no data; READY is current; STALE serves what it last heard."""

    INITIALIZING = "INITIALIZING"
    READY = "READY"
    STALE = "STALE"
    CLOSED = "CLOSED"


class Freshness:
    """What the stream's thread has heard, and what others conclude from it."""

    def __init__(
        self, *, staleness: float, timing: Timing, ready: threading.Event | None = None
    ) -> None:
        self._staleness = staleness
        self._timing = timing
        self._ready = ready or threading.Event()
        self._last_frame: float | None = None
        self._closed = False

    def frame_received(self) -> None:
        """The stream is alive now."""
        self._last_frame = self._timing.monotonic()

    def stream_ended(self) -> None:
        """The stream is down."""
        self._last_frame = None

    def data_applied(self) -> None:
        """The client holds data from now on."""
        self._ready.set()

    def close(self) -> None:
        """Nothing will be heard any more; wakes whoever waits for data."""
        self._closed = True
        self._ready.set()

    def wait_until_ready(self, timeout: float | None) -> bool:
        """Waits up to ``timeout`` seconds; True when there is data to serve."""
        return self._ready.wait(timeout) and not self._closed

    @property
    def status(self) -> Status:
        """The status at this moment."""
        if self._closed:
            return Status.CLOSED
        if not self._ready.is_set():
            return Status.INITIALIZING
        last = self._last_frame
        current = last is not None and self._timing.monotonic() - last < self._staleness
        return Status.READY if current else Status.STALE
