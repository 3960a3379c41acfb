"""Cuts what a buffer held into requests that the server takes."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection

from featmesh.client.events import EvaluationKey, EventKind, Held, Metric, Tally
from featmesh.client.once import OnceLogger
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.insights.v1 import insights_pb2
from featmesh.wire import context_to_proto
from featmesh.wire.limits import rule_of

logger = logging.getLogger(__name__)
once = OnceLogger(logger)

MAX_USERS = rule_of(insights_pb2.TrackRequest, "users").max_count
"""Number of users that one batch may have."""

MAX_EVENTS = rule_of(insights_pb2.TrackRequest, "evaluations").max_count
"""Number of events of each kind that one batch may have."""

MAX_BATCH_BYTES = 1024 * 1024
"""Bytes of a batch, well below the message size that servers take by default."""

MAX_COUNT = int(rule_of(insights_pb2.EvaluationEvent, "count").max)
"""Number of evaluations that one event may count."""

_OVERHEAD = 6
"""Bytes around one element: its tag and its length."""

_KINDS = {
    EventKind.CUSTOM: insights_pb2.METRIC_KIND_CUSTOM,
    EventKind.PAGE_VIEW: insights_pb2.METRIC_KIND_PAGE_VIEW,
    EventKind.CLICK: insights_pb2.METRIC_KIND_CLICK,
}

Event = evaluation_pb2.Context | insights_pb2.EvaluationEvent | insights_pb2.MetricEvent


def build_batches(
    held: Held, sent_at_ms: int, *, private: Collection[str] = ()
) -> list[insights_pb2.TrackRequest]:
    """Makes requests of bounded size, each with an id of its own.

    Nothing of the users that is private, by name or by their own word, is in them.
    Users that cannot be written (an attribute of a strange type, or beyond all limits)
    are left out and count as dropped.
    """
    cutter = _Cutter(sent_at_ms)
    dropped = held.dropped
    for context in held.users.values():
        try:
            user = context_to_proto(context, private=private)
        except Exception as error:  # noqa: BLE001 - what applications put there is theirs
            once.warning(str(type(error)), "the user %.64r cannot be sent: %s", context.key, error)
            dropped += 1
            continue
        if user.ByteSize() > MAX_BATCH_BYTES:
            dropped += 1
            continue
        cutter.place(user, lambda batch: len(batch.users) < MAX_USERS).users.append(user)
    for key, tally in held.evaluations.items():
        event = _evaluation(key, tally)
        cutter.place(event, lambda batch: len(batch.evaluations) < MAX_EVENTS).evaluations.append(
            event
        )
    for metric in held.metrics:
        sent = _metric(metric)
        cutter.place(sent, lambda batch: len(batch.metrics) < MAX_EVENTS).metrics.append(sent)
    return cutter.finish(dropped)


def empty_batch(sent_at_ms: int) -> insights_pb2.TrackRequest:
    """A request without events, for a report alone."""
    return insights_pb2.TrackRequest(batch_id=str(uuid.uuid4()), sent_at_ms=sent_at_ms)


def size_of(batch: insights_pb2.TrackRequest) -> int:
    """How many events are lost if this batch is."""
    counted = sum(event.count for event in batch.evaluations)
    return counted + len(batch.users) + len(batch.metrics) + batch.dropped_events


class _Cutter:
    """Starts a new batch whenever the last one is full."""

    def __init__(self, sent_at_ms: int) -> None:
        self._sent_at_ms = sent_at_ms
        self._batches: list[insights_pb2.TrackRequest] = []
        self._bytes = 0

    def place(
        self, event: Event, has_room: Callable[[insights_pb2.TrackRequest], bool]
    ) -> insights_pb2.TrackRequest:
        size = event.ByteSize() + _OVERHEAD
        full = self._bytes + size > MAX_BATCH_BYTES
        if not self._batches or full or not has_room(self._batches[-1]):
            self._start()
        self._bytes += size
        return self._batches[-1]

    def finish(self, dropped: int) -> list[insights_pb2.TrackRequest]:
        if dropped and not self._batches:
            self._start()
        if self._batches:
            self._batches[0].dropped_events = dropped
        return self._batches

    def _start(self) -> None:
        self._bytes = 0
        self._batches.append(empty_batch(self._sent_at_ms))


def _evaluation(key: EvaluationKey, tally: Tally) -> insights_pb2.EvaluationEvent:
    return insights_pb2.EvaluationEvent(
        flag_key=key.flag_key,
        variation_id=key.variation_id,
        user_key=key.user_key,
        flag_revision=key.flag_revision,
        in_experiment=key.in_experiment,
        count=min(tally.count, MAX_COUNT),
        first_time_ms=tally.first_ms,
        last_time_ms=tally.last_ms,
    )


def _metric(metric: Metric) -> insights_pb2.MetricEvent:
    return insights_pb2.MetricEvent(
        name=metric.name,
        user_key=metric.user_key,
        value=metric.value,
        kind=_KINDS[metric.kind],
        time_ms=metric.time_ms,
    )
