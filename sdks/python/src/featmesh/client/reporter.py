"""What a client tells the server: who was served what, and what users did."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from featmesh.client.events import EventBuffer, EventKind, Metric
from featmesh.client.once import OnceLogger
from featmesh.client.options import Options
from featmesh.client.sender import EventSender, Track
from featmesh.client.stream import Applied
from featmesh.client.timing import Timing
from featmesh.engine.attributes import valid_context
from featmesh.engine.model import Context
from featmesh.engine.numbers import as_double
from featmesh.insights.v1 import insights_pb2
from featmesh.wire.limits import rule_of

logger = logging.getLogger(__name__)
once = OnceLogger(logger)

MAX_EVENT_NAME = rule_of(insights_pb2.MetricEvent, "name").max_bytes
"""Most bytes of an event's name."""


class Reporter:
    """A buffer and the thread that empties it; nothing here waits for the network.

    ``served(context, result, now_ms)`` counts a result whose value an application got; it is
    None where nothing is counted, and calls the buffer directly because every evaluation does.

    Args:
        track: Sends a batch; None for a client that tells nobody anything.
        applied: What is applied, which is told even where no events are sent.
        options: Settings.
        timing: Clock and waiting.
    """

    def __init__(
        self,
        track: Track | None,
        *,
        applied: Callable[[], Applied],
        options: Options,
        timing: Timing,
    ) -> None:
        self._reports = track is not None
        self._enabled = track is not None and options.send_events
        self._wall_ms = timing.wall_ms
        self._buffer = EventBuffer(capacity=options.event_capacity, known_users=options.known_users)
        self.served = self._buffer.add_evaluation if self._enabled else None
        self._sender = EventSender(
            buffer=self._buffer,
            track=track or _track_nothing,
            applied=applied,
            options=options,
            timing=timing,
        )

    def start(self) -> None:
        """Starts the thread."""
        if self._reports:
            self._sender.start()

    def track(self, event_name: str, context: Context, value: float, kind: EventKind) -> None:
        """Takes a metric event; one beyond its limits is logged and counted as dropped."""
        if not self._enabled:
            return
        fault = _fault_of(event_name, context, value, kind)
        if fault:
            once.warning(fault, "a metric event is dropped: %s", fault)
            self._buffer.add_dropped(1)
            return
        metric = Metric(event_name, context.key, float(value), self._wall_ms(), kind)
        self._buffer.add_metric(context, metric)

    def identify(self, context: Context) -> None:
        """Takes a user."""
        if self._enabled and valid_context(context):
            self._buffer.add_user(context)

    def flush(self, timeout: float) -> bool:
        """Sends now; True when nothing waits any more."""
        return not self._enabled or self._sender.flush(timeout)

    def stop(self, timeout: float) -> None:
        """Sends what it can within ``timeout`` seconds and takes no more attempts."""
        if self._enabled:
            self._sender.finish(timeout)
        elif self._reports:
            self._sender.stop()

    def join(self, timeout: float) -> None:
        """Waits for the thread."""
        if self._reports:
            self._sender.join(timeout)


def _track_nothing(
    _batch: insights_pb2.TrackRequest, _timeout: float
) -> insights_pb2.TrackResponse:
    raise RuntimeError("a reporter that tells nobody anything has no thread")


def _fault_of(event_name: object, context: Context, value: object, kind: object) -> str:
    if not isinstance(event_name, str) or not 0 < _size_of(event_name) <= MAX_EVENT_NAME:
        return f"its name must be 1 to {MAX_EVENT_NAME} bytes of UTF-8"
    if not isinstance(value, int | float) or not math.isfinite(as_double(value)):
        return "its value must be a finite number"
    if not isinstance(kind, EventKind):
        return "its kind must be an EventKind"
    if not valid_context(context):
        return "its context's key must be 1 to 512 bytes of UTF-8"
    return ""


def _size_of(text: str) -> int:
    """Bytes of UTF-8; 0 for what cannot be written in it."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return 0
