"""Events as SDKs report them: the limits of insights.proto, checked the same way by all.

`evaluation` refuses a bad event alone, `ingest` the whole message that holds one: what the
first lets through the second must be able to store.
"""

from __future__ import annotations

import math
from typing import Any, Final

from featmesh.insights.v1 import insights_pb2
from services.runtime.errors import Violation
from services.runtime.field_rules import check_message, rule_of
from services.runtime.violations import Violations

AnyEvent = insights_pb2.EvaluationEvent | insights_pb2.MetricEvent

_EVALUATION: Final = insights_pb2.EvaluationEvent.DESCRIPTOR
_METRIC: Final = insights_pb2.MetricEvent.DESCRIPTOR
_TRACK: Final = insights_pb2.TrackRequest.DESCRIPTOR

BATCH_ID_BYTES: Final = rule_of(_TRACK, "batch_id").max_bytes
"""Most bytes of a batch's id."""

BATCH_USERS: Final = rule_of(_TRACK, "users").max_count
"""Largest number of users in one batch."""

DROPPED_EVENTS: Final = int(rule_of(_TRACK, "dropped_events").max)
"""Largest number of events that a batch may report as dropped."""

LAST_TIME_MS: Final = int(rule_of(_EVALUATION, "last_time_ms").max)
"""Latest time that can be stored, in milliseconds since the epoch."""

_FLAG_BYTES: Final = rule_of(_EVALUATION, "flag_key").max_bytes
_VARIATION_BYTES: Final = rule_of(_EVALUATION, "variation_id").max_bytes
_USER_BYTES: Final = rule_of(_EVALUATION, "user_key").max_bytes
_COUNT: Final = int(rule_of(_EVALUATION, "count").max)
_NAME_BYTES: Final = rule_of(_METRIC, "name").max_bytes
_METRIC_USER_BYTES: Final = rule_of(_METRIC, "user_key").max_bytes
_METRIC_KINDS: Final = frozenset(insights_pb2.MetricKind.values())

# There are tens of thousands of events in a second. So the two checks take the fields, which
# a caller reads once, and no text that is plain is encoded.


def is_good_evaluation(
    flag: str, variation: str, user: str, count: int, first_ms: int, last_ms: int
) -> bool:
    """Tells whether an EvaluationEvent with these fields breaks no limit."""
    return (
        0 < len(flag) <= _FLAG_BYTES
        and (flag.isascii() or len(flag.encode()) <= _FLAG_BYTES)
        and 0 < len(variation) <= _VARIATION_BYTES
        and (variation.isascii() or len(variation.encode()) <= _VARIATION_BYTES)
        and 0 < len(user) <= _USER_BYTES
        and (user.isascii() or len(user.encode()) <= _USER_BYTES)
        and 1 <= count <= _COUNT
        and 1 <= first_ms <= last_ms <= LAST_TIME_MS
    )


def is_good_metric(name: str, user: str, value: float, kind: int, time_ms: int) -> bool:
    """Tells whether a MetricEvent with these fields breaks no limit."""
    return (
        0 < len(name) <= _NAME_BYTES
        and (name.isascii() or len(name.encode()) <= _NAME_BYTES)
        and 0 < len(user) <= _METRIC_USER_BYTES
        and (user.isascii() or len(user.encode()) <= _METRIC_USER_BYTES)
        and 1 <= time_ms <= LAST_TIME_MS
        and kind in _METRIC_KINDS
        and math.isfinite(value)
    )


def violation_of(event: AnyEvent) -> Violation | None:
    """Returns the first limit that an event breaks; None for a good one. It takes its time."""
    violations = Violations()
    check_message(violations, "", event)
    if isinstance(event, insights_pb2.EvaluationEvent) and not violations:
        _check_order(violations, event)
    return next(iter(violations), None)


def _check_order(violations: Violations, event: Any) -> None:
    if event.last_time_ms < event.first_time_ms:
        violations.add("last_time_ms", "is before first_time_ms")
