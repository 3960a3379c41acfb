"""The thread that sends events."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

import grpc

from featmesh.client.backoff import Backoff
from featmesh.client.batches import build_batches, empty_batch, size_of
from featmesh.client.events import EventBuffer
from featmesh.client.once import OnceLogger
from featmesh.client.options import Options
from featmesh.client.stream import Applied
from featmesh.client.timing import Timing
from featmesh.insights.v1 import insights_pb2

logger = logging.getLogger(__name__)
once = OnceLogger(logger)

PUSHBACK = "grpc-retry-pushback-ms"
MAX_PUSHBACK = 300.0
"""Seconds; whatever a server asks for, events are tried again after this."""

REPORT_INTERVAL = 30.0
"""Seconds; a batch, be it empty, tells the server at least so often what is applied, and
after a failure a report without events waits so long at most."""

_RETRIED = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,  # by a server that stops
    }
)

Track = Callable[[insights_pb2.TrackRequest, float], insights_pb2.TrackResponse]
"""Sends a batch within so many seconds, or raises grpc.RpcError."""


class EventSender:
    """Drains a buffer every flush interval, and keeps at a batch until it is taken.

    Every batch says which revision is applied. Where no events come, an empty one does: at
    the next flush after a revision was applied, and now and then. It is not kept: when it
    fails, a later one says the same.

    A batch with events keeps its id over all attempts, so the server stores it once. While one
    waits, the buffer fills up to its capacity and no further.
    """

    def __init__(
        self,
        *,
        buffer: EventBuffer,
        track: Track,
        applied: Callable[[], Applied],
        options: Options,
        timing: Timing,
    ) -> None:
        self._buffer = buffer
        self._track = track
        self._applied = applied
        self._options = options
        self._timing = timing
        self._backoff = Backoff(
            first=options.backoff_first, maximum=options.backoff_maximum, random=timing.random
        )
        self._pending: deque[insights_pb2.TrackRequest] = deque()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._progress = threading.Condition()
        self._asked = 0
        self._answered = 0
        self._reported = 0
        self._reported_at = timing.monotonic()
        self._put_off_until = self._reported_at
        self._closing = False
        self._refusals: set[grpc.StatusCode] = set()
        self._thread = threading.Thread(target=self._run, name="featmesh-events", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def flush(self, timeout: float) -> bool:
        """Sends now what the buffer holds; True when none of it waits any more."""
        with self._progress:
            self._asked += 1
            mine = self._asked
            self._wake.set()
            return self._progress.wait_for(
                lambda: self._answered >= mine or self._stopped.is_set(), timeout
            ) and (self._answered >= mine)

    def finish(self, timeout: float) -> None:
        """Sends the last events within ``timeout`` seconds, then `stop`."""
        self._closing = True  # who leaves need not report
        self.flush(timeout)
        self.stop()

    def stop(self) -> None:
        """Ends the thread after the attempt that is under way; what waits is dropped."""
        self._stopped.set()
        self._wake.set()
        with self._progress:
            self._progress.notify_all()

    def join(self, timeout: float) -> None:
        """Waits for the thread."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._timing.wait(self._wake, min(self._options.flush_interval, REPORT_INTERVAL))
            self._wake.clear()
            asked = self._asked
            try:
                self._send_all()
            except Exception:
                self._buffer.add_dropped(sum(map(size_of, self._pending)))
                self._pending.clear()
                logger.exception("events could not be sent and were dropped")
            with self._progress:
                if not self._pending:
                    self._answered = asked
                self._progress.notify_all()
        self._report_loss()

    def _send_all(self) -> None:
        self._pending.extend(self._batches())
        while self._pending and not self._stopped.is_set():
            delay = self._attempt(self._pending[0])
            if delay is None:
                self._pending.popleft()
            else:
                self._timing.wait(self._stopped, delay)

    def _batches(self) -> list[insights_pb2.TrackRequest]:
        held, now = self._buffer.drain(), self._timing.monotonic()
        if held.is_empty and not self._is_report_due(now):
            return []
        self._reported, self._reported_at = self._applied().revision, now
        sent_at_ms = self._timing.wall_ms()
        if held.is_empty:
            return [empty_batch(sent_at_ms)]
        return build_batches(held, sent_at_ms, private=self._options.private_attributes)

    def _is_report_due(self, now: float) -> bool:
        revision = self._applied().revision
        if not revision or self._closing or now < self._put_off_until:
            return False
        return revision != self._reported or now - self._reported_at >= REPORT_INTERVAL

    def _attempt(self, batch: insights_pb2.TrackRequest) -> float | None:
        """Sends a batch once; seconds until the next attempt, or None when it is done with."""
        # As the clock is at this attempt: after an outage the server would take the time that
        # the batch has waited for a clock that is wrong.
        batch.sent_at_ms = self._timing.wall_ms()
        self._state_applied(batch)
        try:
            answer = self._track(batch, self._options.send_timeout)
        except grpc.RpcError as error:
            return self._after_failure(batch, error)
        self._backoff.reset()
        for rejected in answer.rejected[:1]:
            once.warning(
                rejected.reason,
                "%d events were refused, the first with: %s",
                len(answer.rejected),
                rejected.reason,
            )
        return None

    def _state_applied(self, batch: insights_pb2.TrackRequest) -> None:
        """As it is at this attempt: the age of an earlier one would be too young."""
        applied = self._applied()
        age = self._timing.monotonic() - applied.at if applied.revision else 0.0
        batch.applied_revision = applied.revision
        batch.applied_age_ms = max(0, round(age * 1000))

    def _after_failure(
        self, batch: insights_pb2.TrackRequest, error: grpc.RpcError
    ) -> float | None:
        code, pushback = error.code(), _pushback(error)
        if self._stopped.is_set():
            return 0.0  # the channel was closed under it; the batch stays and is counted
        if not size_of(batch):
            self._put_report_off(pushback)
            return None
        if code in _RETRIED and (pushback is None or pushback >= 0):
            return self._backoff.next_delay() if pushback is None else pushback
        self._buffer.add_dropped(size_of(batch))
        if code not in self._refusals:
            self._refusals.add(code)
            logger.error("events are refused and dropped: %s %s", code.name, error.details())
        return None

    def _put_report_off(self, pushback: float | None) -> None:
        asked = REPORT_INTERVAL if pushback is not None and pushback < 0 else pushback
        delay = self._backoff.next_delay() if asked is None else asked
        self._put_off_until = self._timing.monotonic() + min(delay, REPORT_INTERVAL)
        self._reported = 0

    def _report_loss(self) -> None:
        held = self._buffer.drain()
        lost = sum(size_of(batch) for batch in self._pending)
        lost += len(held.users) + len(held.metrics) + held.dropped
        lost += sum(tally.count for tally in held.evaluations.values())
        if lost:
            logger.warning("%d events were not sent before the client closed", lost)


def _pushback(error: grpc.RpcError) -> float | None:
    """Seconds that the server asks to wait; negative when it asks not to try again."""
    for entry in error.trailing_metadata() or ():
        if entry.key == PUSHBACK:
            try:
                milliseconds = int(entry.value)
            except ValueError:
                return -1.0  # gRFC A6: what cannot be read means "do not retry"
            return min(milliseconds / 1000, MAX_PUSHBACK)
    return None
