from __future__ import annotations

import math

import pytest

from featmesh.insights.v1 import insights_pb2
from featmesh.messaging.v1 import messaging_pb2
from services.evaluation.events.validation import CheckedBatch
from services.ingest.insights import decode_insights
from services.runtime.events import LAST_TIME_MS

NOW_MS = 1_700_000_000_000
DAY_MS = 24 * 3_600 * 1_000


def evaluation(first_ms: int, last_ms: int) -> insights_pb2.EvaluationEvent:
    return insights_pb2.EvaluationEvent(
        flag_key="f", variation_id="v", user_key="u", count=1,
        first_time_ms=first_ms, last_time_ms=last_ms,
    )  # fmt: skip


def metric(
    time_ms: int = NOW_MS, value: float = 1.0, kind: int = insights_pb2.METRIC_KIND_CLICK
) -> insights_pb2.MetricEvent:
    event = insights_pb2.MetricEvent(name="m", user_key="u", time_ms=time_ms, value=value)
    event.MergeFromString(bytes([0x20, kind]))  # kinds of a newer SDK have no name here
    return event


@pytest.mark.parametrize("sent_at_ms", [0, NOW_MS, NOW_MS + DAY_MS, NOW_MS - DAY_MS])
def test_ingest_can_store_every_event_that_track_accepts(sent_at_ms: int) -> None:
    """One event that ingest refuses would take its whole, acknowledged batch with it."""
    times = (-1, 0, 1, NOW_MS, LAST_TIME_MS, LAST_TIME_MS + 1)
    request = insights_pb2.TrackRequest(
        batch_id="b",
        sent_at_ms=sent_at_ms,
        evaluations=[evaluation(first, last) for first in times for last in times],
        metrics=[*map(metric, times), metric(value=math.nan), metric(kind=99)],
    )
    checked = CheckedBatch(request, NOW_MS)
    forwarded = messaging_pb2.InsightBatch(
        environment_id="e",
        batch_id="b",
        received_at_ms=NOW_MS,
        skew_ms=checked.skew_ms,
        track=insights_pb2.TrackRequest(
            evaluations=checked.evaluations, metrics=checked.metrics
        ).SerializeToString(),
    )
    stored = decode_insights(forwarded.SerializeToString())
    assert len(stored.evaluations) + len(stored.metrics) == checked.accepted
    assert checked.accepted + len(checked.rejected) == len(times) ** 2 + len(times) + 2
