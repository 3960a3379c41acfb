"""Checks a batch of events: a bad one is refused alone, the rest goes on.

What passes here must be storable by `ingest`: there, one bad event fails its whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.insights.v1 import insights_pb2
from services.evaluation.contexts import sdk_violations
from services.evaluation.limits import (
    BATCH_EVENTS,
    BATCH_ID_BYTES,
    BATCH_USERS,
    DROPPED_EVENTS,
    EVENT_COUNT,
    EVENT_NAME_BYTES,
    FLAG_KEY_BYTES,
    LATEST_TIME_MS,
    VARIATION_ID_BYTES,
)
from services.runtime.contexts import KEY_BYTES, context_violations, text_violations
from services.runtime.errors import InvalidArgument, Violation

SKEW_TOLERATED_MS: Final = 60_000
"""A sender's clock that is off by no more is believed."""

SKEW_CORRECTED_MS: Final = 24 * 3_600 * 1_000
"""Times are moved by this much at the most."""

_METRIC_KINDS: Final = frozenset(insights_pb2.MetricKind.values())

Event = TypeVar(
    "Event",
    evaluation_pb2.Context,
    insights_pb2.EvaluationEvent,
    insights_pb2.MetricEvent,
)


AnyEvent = evaluation_pb2.Context | insights_pb2.EvaluationEvent | insights_pb2.MetricEvent


class CheckedBatch:
    """What of a request is taken, and what is not."""

    def __init__(self, request: insights_pb2.TrackRequest, now_ms: int) -> None:
        """Raises `InvalidArgument` when the batch as a whole breaks a limit."""
        _check_batch(request)
        part = insights_pb2.EventPart
        self.rejected: list[insights_pb2.RejectedEvent] = []
        self.users = self._taken(request.users, part.EVENT_PART_USERS, _is_good_user)
        self.evaluations = self._taken(
            request.evaluations, part.EVENT_PART_EVALUATIONS, _is_good_evaluation
        )
        self.metrics = self._taken(request.metrics, part.EVENT_PART_METRICS, _is_good_metric)
        self.skew_ms = _skew(request.sent_at_ms, now_ms)

    @property
    def accepted(self) -> int:
        """How many users and events are taken."""
        return len(self.users) + len(self.evaluations) + len(self.metrics)

    def _taken(
        self,
        events: Sequence[Event],
        part: insights_pb2.EventPart.ValueType,
        is_good: Callable[[Event], bool],
    ) -> Sequence[Event]:
        """The same sequence where all are good: most are, and none is touched then."""
        bad: dict[int, str] = {}
        for index, event in enumerate(events):
            if not is_good(event) and (reason := _reason(event)):
                bad[index] = reason
        if not bad:
            return events
        self.rejected.extend(
            insights_pb2.RejectedEvent(part=part, index=index, reason=reason)
            for index, reason in bad.items()
        )
        return [event for index, event in enumerate(events) if index not in bad]


def user_list_violations(users: Sequence[evaluation_pb2.Context]) -> list[Violation]:
    """All that is wrong with the users of an Identify call."""
    if not 1 <= len(users) <= BATCH_USERS:
        return [Violation("users", f"has {len(users)}; 1 to {BATCH_USERS}")]
    return [
        violation
        for index, user in enumerate(users)
        for violation in context_violations(user, f"users[{index}]")
    ]


def _check_batch(request: insights_pb2.TrackRequest) -> None:
    violations = [
        *text_violations("batch_id", request.batch_id, 1, BATCH_ID_BYTES),
        *sdk_violations(request.sdk),
        *_length_violations("users", len(request.users), BATCH_USERS),
        *_length_violations("evaluations", len(request.evaluations), BATCH_EVENTS),
        *_length_violations("metrics", len(request.metrics), BATCH_EVENTS),
        *_number_violations("dropped_events", request.dropped_events, 0, DROPPED_EVENTS),
        *_number_violations("applied_revision", request.applied_revision, 0, 2**62),
        *_number_violations("applied_age_ms", request.applied_age_ms, 0, 2**62),
    ]
    if violations:
        raise InvalidArgument(violations)


def _length_violations(path: str, length: int, limit: int) -> Iterator[Violation]:
    if length > limit:
        yield Violation(path, f"has {length}; at most {limit}")


def _number_violations(path: str, number: int, low: int, high: int) -> Iterator[Violation]:
    if not low <= number <= high:
        yield Violation(path, f"is {number}; {low} to {high}")


def _is_good_user(_user: evaluation_pb2.Context) -> bool:
    return False  # there is no shorter way than to look at everything


def _is_good_evaluation(event: insights_pb2.EvaluationEvent) -> bool:
    """Surely good: of plain texts that fit. What is not is looked at closely."""
    flag, variation, user = event.flag_key, event.variation_id, event.user_key
    return (
        (flag.isascii() and 0 < len(flag) <= FLAG_KEY_BYTES)
        and (variation.isascii() and 0 < len(variation) <= VARIATION_ID_BYTES)
        and (user.isascii() and 0 < len(user) <= KEY_BYTES)
        and 1 <= event.count <= EVENT_COUNT
        and 1 <= event.first_time_ms <= event.last_time_ms <= LATEST_TIME_MS
    )


def _is_good_metric(event: insights_pb2.MetricEvent) -> bool:
    """Surely good: of plain texts that fit. What is not is looked at closely."""
    name, user = event.name, event.user_key
    return (
        (name.isascii() and 0 < len(name) <= EVENT_NAME_BYTES)
        and (user.isascii() and 0 < len(user) <= KEY_BYTES)
        and 1 <= event.time_ms <= LATEST_TIME_MS
        and event.kind in _METRIC_KINDS
        and math.isfinite(event.value)
    )


def _reason(event: AnyEvent) -> str:
    """The first field that breaks a limit, and the limit; empty when none does."""
    violation = next(_violations(event), None)
    return f"{violation.field} {violation.description}" if violation else ""


def _violations(event: AnyEvent) -> Iterator[Violation]:
    if isinstance(event, evaluation_pb2.Context):
        return context_violations(event, "user")
    if isinstance(event, insights_pb2.EvaluationEvent):
        return _evaluation_violations(event)
    return _metric_violations(event)


def _evaluation_violations(event: insights_pb2.EvaluationEvent) -> Iterator[Violation]:
    yield from text_violations("flag_key", event.flag_key, 1, FLAG_KEY_BYTES)
    yield from text_violations("variation_id", event.variation_id, 1, VARIATION_ID_BYTES)
    yield from text_violations("user_key", event.user_key, 1, KEY_BYTES)
    yield from _number_violations("count", event.count, 1, EVENT_COUNT)
    yield from _number_violations("first_time_ms", event.first_time_ms, 1, LATEST_TIME_MS)
    yield from _number_violations(
        "last_time_ms", event.last_time_ms, event.first_time_ms, LATEST_TIME_MS
    )


def _metric_violations(event: insights_pb2.MetricEvent) -> Iterator[Violation]:
    yield from text_violations("name", event.name, 1, EVENT_NAME_BYTES)
    yield from text_violations("user_key", event.user_key, 1, KEY_BYTES)
    yield from _number_violations("time_ms", event.time_ms, 1, LATEST_TIME_MS)
    if event.kind not in _METRIC_KINDS:
        yield Violation("kind", f"is {event.kind}, which this version does not know")
    if not math.isfinite(event.value):
        yield Violation("value", "is not a finite number")


def _skew(sent_at_ms: int, now_ms: int) -> int:
    """How far the sender's clock is behind ours, if it is off by more than the way takes."""
    skew = now_ms - sent_at_ms
    if not sent_at_ms or abs(skew) <= SKEW_TOLERATED_MS:
        return 0
    return max(-SKEW_CORRECTED_MS, min(skew, SKEW_CORRECTED_MS))
