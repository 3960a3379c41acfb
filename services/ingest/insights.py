"""Insights: evaluation and metric events, decoded into what the store takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from featmesh.insights.v1 import insights_pb2
from featmesh.messaging.v1 import messaging_pb2
from services.ingest.decoding import MAX_ID_BYTES, Undecodable, milliseconds, parse, text
from services.runtime.events import (
    BATCH_ID_BYTES,
    DROPPED_EVENTS,
    LAST_TIME_MS,
    AnyEvent,
    is_good_evaluation,
    is_good_metric,
    violation_of,
)
from services.storage.model.events import EvaluationEvent, InsightBatch, MetricEvent, MetricKind

_tuple: Final = tuple.__new__
"""What a NamedTuple's own constructor comes to, in half the time."""

_KINDS: Final[Mapping[int, MetricKind]] = {
    insights_pb2.METRIC_KIND_UNSPECIFIED: MetricKind.CUSTOM,
    insights_pb2.METRIC_KIND_CUSTOM: MetricKind.CUSTOM,
    insights_pb2.METRIC_KIND_PAGE_VIEW: MetricKind.PAGE_VIEW,
    insights_pb2.METRIC_KIND_CLICK: MetricKind.CLICK,
}


def decode_insights(payload: bytes) -> InsightBatch:
    """The model of a ``featmesh.messaging.v1.InsightBatch``; raises `Undecodable`."""
    batch = parse(messaging_pb2.InsightBatch, payload)
    track = parse(insights_pb2.TrackRequest, batch.track)
    return InsightBatch(
        environment_id=text("environment_id", batch.environment_id, MAX_ID_BYTES),
        batch_id=text("batch_id", batch.batch_id, BATCH_ID_BYTES),
        received_ms=milliseconds("received_at_ms", batch.received_at_ms),
        evaluations=_evaluations(track.evaluations, batch.skew_ms),
        metrics=_metrics(track.metrics, batch.skew_ms),
        dropped=_dropped(track.dropped_events),
    )


def _dropped(events: int) -> int:
    if not 0 <= events <= DROPPED_EVENTS:
        raise Undecodable("dropped_events", f"{events} is not from 0 to {DROPPED_EVENTS}")
    return events


def _evaluations(
    events: Iterable[insights_pb2.EvaluationEvent], skew_ms: int
) -> list[EvaluationEvent]:
    found: list[EvaluationEvent] = []
    for index, event in enumerate(events):
        flag, variation, user = event.flag_key, event.variation_id, event.user_key
        first_ms, last_ms, count = event.first_time_ms, event.last_time_ms, event.count
        if not is_good_evaluation(flag, variation, user, count, first_ms, last_ms):
            _refuse(f"evaluations[{index}]", event)
        if skew_ms:
            first_ms, last_ms = _moved(first_ms, skew_ms), _moved(last_ms, skew_ms)
        found.append(
            _tuple(
                EvaluationEvent,
                (flag, variation, user, event.flag_revision, event.in_experiment, count,
                 first_ms, last_ms),
            )
        )  # fmt: skip
    return found


def _metrics(events: Iterable[insights_pb2.MetricEvent], skew_ms: int) -> list[MetricEvent]:
    found: list[MetricEvent] = []
    for index, event in enumerate(events):
        name, user, value = event.name, event.user_key, event.value
        kind, time_ms = event.kind, event.time_ms
        if not is_good_metric(name, user, value, kind, time_ms):
            _refuse(f"metrics[{index}]", event)
        time_ms = _moved(time_ms, skew_ms) if skew_ms else time_ms
        found.append(MetricEvent(name, user, value, _KINDS[kind], time_ms))
    return found


def _refuse(at: str, event: AnyEvent) -> None:
    """Raises `Undecodable` with the first limit that the event breaks."""
    violation = violation_of(event)
    if violation is not None:
        raise Undecodable(f"{at}.{violation.field}", violation.description)


def _moved(time_ms: int, skew_ms: int) -> int:
    return max(1, min(time_ms + skew_ms, LAST_TIME_MS))
