from __future__ import annotations

import math
from typing import Any

import pytest

from featmesh.insights.v1 import insights_pb2
from services.runtime.events import (
    LAST_TIME_MS,
    is_good_evaluation,
    is_good_metric,
    violation_of,
)

EVALUATION: dict[str, Any] = {
    "flag_key": "f",
    "variation_id": "v",
    "user_key": "u",
    "count": 1,
    "first_time_ms": 1,
    "last_time_ms": 1,
}
METRIC: dict[str, Any] = {"name": "m", "user_key": "u", "value": 1.0, "kind": 1, "time_ms": 1}

TEXTS = {"flag_key": 128, "variation_id": 64, "user_key": 512, "name": 128}
"""Limits of texts in bytes, as SDKs were promised."""


def texts(field: str) -> list[tuple[str, bool]]:
    limit = TEXTS[field]
    return [
        ("", False),
        ("x" * limit, True),
        ("x" * (limit + 1), False),
        ("é" * (limit // 2), True),
        ("é" * (limit // 2) + "x", False),
    ]


TIMES = [(-1, False), (0, False), (1, True), (LAST_TIME_MS, True), (LAST_TIME_MS + 1, False)]


def is_good(event: insights_pb2.EvaluationEvent | insights_pb2.MetricEvent) -> bool:
    if isinstance(event, insights_pb2.MetricEvent):
        return is_good_metric(event.name, event.user_key, event.value, event.kind, event.time_ms)
    return is_good_evaluation(
        event.flag_key,
        event.variation_id,
        event.user_key,
        event.count,
        event.first_time_ms,
        event.last_time_ms,
    )


@pytest.mark.parametrize(
    ("field", "value", "good"),
    [
        *(
            (field, *case)
            for field in ("flag_key", "variation_id", "user_key")
            for case in texts(field)
        ),
        *(("count", *case) for case in ((-1, False), (0, False), (10**9, True))),
        ("count", 10**9 + 1, False),
        *(("last_time_ms", *case) for case in TIMES),
        *(("first_time_ms", *case) for case in TIMES[:3]),
        ("first_time_ms", 2, False),
    ],
)
def test_an_evaluation_is_judged_alike_at_a_glance_and_closely(
    field: str, value: Any, good: bool
) -> None:
    event = insights_pb2.EvaluationEvent(**{**EVALUATION, field: value})
    violation = violation_of(event)
    assert is_good(event) is good
    assert (violation is None) is good
    named = "last_time_ms" if (field, value) == ("first_time_ms", 2) else field
    assert violation is None or violation.field == named


@pytest.mark.parametrize(
    ("field", "value", "good"),
    [
        *((field, *case) for field in ("name", "user_key") for case in texts(field)),
        *(("time_ms", *case) for case in TIMES),
        *(("value", each, False) for each in (math.nan, math.inf, -math.inf)),
        *(("value", each, True) for each in (0.0, -1e308)),
        *(("kind", *case) for case in ((0, True), (3, True), (4, False))),
    ],
)
def test_a_metric_event_is_judged_alike_at_a_glance_and_closely(
    field: str, value: Any, good: bool
) -> None:
    event = insights_pb2.MetricEvent(**{**METRIC, field: value})
    violation = violation_of(event)
    assert is_good(event) is good
    assert (violation is None) is good
    assert violation is None or violation.field == field
