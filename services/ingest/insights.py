"""Insights: evaluation and metric events, decoded into what the store takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from featmesh.insights.v1 import insights_pb2
from featmesh.messaging.v1 import messaging_pb2
from services.ingest.decoding import (
    LAST_MS,
    MAX_ID_BYTES,
    MAX_USER_KEY_BYTES,
    Undecodable,
    milliseconds,
    parse,
    text,
)
from services.storage.model.events import EvaluationEvent, InsightBatch, MetricEvent, MetricKind

_tuple: Final = tuple.__new__
"""What a NamedTuple's own constructor comes to, in half the time."""

MAX_NAME_BYTES: Final = 128
MAX_COUNT: Final = 1_000_000_000
MAX_DROPPED: Final = 1_000_000_000_000

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
    skew_ms = batch.skew_ms
    return InsightBatch(
        environment_id=text("environment_id", batch.environment_id, MAX_ID_BYTES),
        batch_id=text("batch_id", batch.batch_id, MAX_ID_BYTES),
        received_ms=milliseconds("received_at_ms", batch.received_at_ms),
        evaluations=[
            *_evaluations(batch.evaluations, skew_ms),
            *_evaluations(track.evaluations, skew_ms),
        ],
        metrics=[*_metrics(batch.metrics, skew_ms), *_metrics(track.metrics, skew_ms)],
        dropped=_dropped(track.dropped_events),
    )


def _dropped(events: int) -> int:
    if not 0 <= events <= MAX_DROPPED:
        raise Undecodable("dropped_events", f"{events} is not from 0 to {MAX_DROPPED}")
    return events


def _evaluations(
    events: Iterable[insights_pb2.EvaluationEvent], skew_ms: int
) -> list[EvaluationEvent]:
    found: list[EvaluationEvent] = []
    for index, event in enumerate(events):
        flag, variation, user = event.flag_key, event.variation_id, event.user_key
        first_ms, last_ms, count = event.first_time_ms, event.last_time_ms, event.count
        # Plain texts pass without a call; all others are looked at closely.
        if not (
            (flag.isascii() and 0 < len(flag) <= MAX_NAME_BYTES)
            and (variation.isascii() and 0 < len(variation) <= MAX_ID_BYTES)
            and (user.isascii() and 0 < len(user) <= MAX_USER_KEY_BYTES)
            and 1 <= count <= MAX_COUNT
            and 1 <= first_ms <= LAST_MS
            and 1 <= last_ms <= LAST_MS
        ):
            _check_evaluation(f"evaluations[{index}]", event)
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
        name, user, time_ms = event.name, event.user_key, event.time_ms
        if not (
            (name.isascii() and 0 < len(name) <= MAX_NAME_BYTES)
            and (user.isascii() and 0 < len(user) <= MAX_USER_KEY_BYTES)
            and 1 <= time_ms <= LAST_MS
            and event.kind in _KINDS
            and math.isfinite(event.value)
        ):
            _check_metric(f"metrics[{index}]", event)
        time_ms = _moved(time_ms, skew_ms) if skew_ms else time_ms
        found.append(MetricEvent(name, user, event.value, _KINDS[event.kind], time_ms))
    return found


def _check_evaluation(at: str, event: insights_pb2.EvaluationEvent) -> None:
    """The slow way, which says what is wrong."""
    if not 1 <= event.count <= MAX_COUNT:
        raise Undecodable(f"{at}.count", f"{event.count} is not from 1 to {MAX_COUNT}")
    text(f"{at}.flag_key", event.flag_key, MAX_NAME_BYTES)
    text(f"{at}.variation_id", event.variation_id, MAX_ID_BYTES)
    text(f"{at}.user_key", event.user_key, MAX_USER_KEY_BYTES)
    milliseconds(f"{at}.first_time_ms", event.first_time_ms)
    milliseconds(f"{at}.last_time_ms", event.last_time_ms)


def _check_metric(at: str, event: insights_pb2.MetricEvent) -> None:
    """The slow way, which says what is wrong."""
    if not math.isfinite(event.value):
        raise Undecodable(f"{at}.value", "is not a finite number")
    if event.kind not in _KINDS:
        raise Undecodable(f"{at}.kind", f"{event.kind} is no kind that this version knows")
    text(f"{at}.name", event.name, MAX_NAME_BYTES)
    text(f"{at}.user_key", event.user_key, MAX_USER_KEY_BYTES)
    milliseconds(f"{at}.time_ms", event.time_ms)


def _moved(time_ms: int, skew_ms: int) -> int:
    return max(1, min(time_ms + skew_ms, LAST_MS))
