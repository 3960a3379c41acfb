"""Checks a batch of events: a bad one is refused alone, the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.insights.v1 import insights_pb2
from services.runtime.contexts import context_violations
from services.runtime.errors import Violation
from services.runtime.events import is_good_evaluation, is_good_metric, violation_of
from services.runtime.field_rules import check_message
from services.runtime.violations import Violations

SKEW_TOLERATED_MS: Final = 60_000
"""Milliseconds by which a sender's clock may be off and is still believed."""

SKEW_CORRECTED_MS: Final = 24 * 3_600 * 1_000
"""Milliseconds by which times are moved at the most."""

Event = TypeVar(
    "Event",
    evaluation_pb2.Context,
    insights_pb2.EvaluationEvent,
    insights_pb2.MetricEvent,
)


class CheckedBatch:
    """What of a request is taken, and what is not."""

    def __init__(self, request: insights_pb2.TrackRequest, now_ms: int) -> None:
        """Raises `InvalidArgument` when the batch as a whole breaks a limit."""
        violations = Violations()
        check_message(violations, "", request)
        violations.finish()
        part = insights_pb2.EventPart
        self.rejected: list[insights_pb2.RejectedEvent] = []
        self.users = self._taken(request.users, part.EVENT_PART_USERS, _user_violation)
        self.evaluations = self._taken(
            request.evaluations, part.EVENT_PART_EVALUATIONS, _evaluation_violation
        )
        self.metrics = self._taken(request.metrics, part.EVENT_PART_METRICS, _metric_violation)
        self.skew_ms = _skew(request.sent_at_ms, now_ms)

    @property
    def accepted(self) -> int:
        """How many users and events are taken."""
        return len(self.users) + len(self.evaluations) + len(self.metrics)

    def _taken(
        self,
        events: Sequence[Event],
        part: insights_pb2.EventPart.ValueType,
        check: Callable[[Event], Violation | None],
    ) -> Sequence[Event]:
        """The same sequence where all are good: most are, and none is touched then."""
        bad: dict[int, Violation] = {}
        for index, event in enumerate(events):
            violation = check(event)
            if violation is not None:
                bad[index] = violation
        if not bad:
            return events
        self.rejected.extend(
            insights_pb2.RejectedEvent(
                part=part, index=index, reason=f"{each.field} {each.description}"
            )
            for index, each in bad.items()
        )
        return [event for index, event in enumerate(events) if index not in bad]


def check_users(request: insights_pb2.IdentifyRequest) -> None:
    """Raises `InvalidArgument` with all that is wrong with the users of an Identify call."""
    violations = Violations()
    check_message(violations, "", request)
    violations.finish()
    for index, user in enumerate(request.users):
        violations.extend(context_violations(user, f"users[{index}]"))
    violations.finish()


def _user_violation(user: evaluation_pb2.Context) -> Violation | None:
    return next(context_violations(user, "user"), None)


def _evaluation_violation(event: insights_pb2.EvaluationEvent) -> Violation | None:
    is_good = is_good_evaluation(
        event.flag_key,
        event.variation_id,
        event.user_key,
        event.count,
        event.first_time_ms,
        event.last_time_ms,
    )
    return None if is_good else violation_of(event)


def _metric_violation(event: insights_pb2.MetricEvent) -> Violation | None:
    is_good = is_good_metric(event.name, event.user_key, event.value, event.kind, event.time_ms)
    return None if is_good else violation_of(event)


def _skew(sent_at_ms: int, now_ms: int) -> int:
    """How far the sender's clock is behind ours, if it is off by more than the way takes."""
    skew = now_ms - sent_at_ms
    if not sent_at_ms or abs(skew) <= SKEW_TOLERATED_MS:
        return 0
    return max(-SKEW_CORRECTED_MS, min(skew, SKEW_CORRECTED_MS))
