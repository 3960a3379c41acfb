"""Why a flag answered as it did: every step of the specification, with what it compared.

The fast path knows nothing of this. An explanation walks the definition again, condition by
condition, with the same operators, hash and segments as `evaluate`, whose result it carries.
"""

from __future__ import annotations

from dataclasses import dataclass

from featmesh.engine.attributes import elements, reader, text_of, valid_context
from featmesh.engine.evaluate import evaluate
from featmesh.engine.membership import Segments, in_any_segment, is_member
from featmesh.engine.model import (
    Condition,
    Context,
    Flag,
    Operator,
    Prerequisite,
    Reason,
    Result,
    Rollout,
    Rule,
)
from featmesh.engine.operators import compile_condition
from featmesh.engine.rollout import BUCKETS, bucket, salted_value, share_edges
from featmesh.engine.snapshot import Snapshot

_SEGMENT_OPERATORS = frozenset({Operator.IN_SEGMENT, Operator.NOT_IN_SEGMENT})


@dataclass(frozen=True, slots=True)
class ConditionTrace:
    """One condition, what the context has for it, and whether it holds.

    ``actual`` are the attribute's texts (none for a missing attribute); for the segment
    operators the ids among ``condition.values`` of which the context is a member.
    """

    condition: Condition
    actual: tuple[str, ...]
    holds: bool


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule that was looked at; all its conditions are shown, whichever failed first."""

    rule_id: str
    rule_name: str
    conditions: tuple[ConditionTrace, ...]
    holds: bool


@dataclass(frozen=True, slots=True)
class PrerequisiteTrace:
    """One prerequisite that was looked at, and what the other flag answered."""

    flag_key: str
    required_variation_id: str
    result: Result
    holds: bool


@dataclass(frozen=True, slots=True)
class TargetTrace:
    """One target list, by its length, and whether it holds the context's key."""

    variation_id: str
    size: int
    holds: bool


@dataclass(frozen=True, slots=True)
class ShareTrace:
    """One share with its range of buckets: from ``start`` up to but without ``end``."""

    variation_id: str
    weight: int
    start: int
    end: int
    served: bool


@dataclass(frozen=True, slots=True)
class RolloutTrace:
    """The rollout that decided.

    ``hashed`` is the salt and the dispatch attribute's text, ``bucket`` their hash from 0 to
    2^31, None where a single share serves everybody. ``experiment_bucket`` is set where a
    second hash decided about the experiment.
    """

    dispatch_attribute: str
    hashed: str
    bucket: int | None
    shares: tuple[ShareTrace, ...]
    experiment_bucket: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The steps up to the one that decided, and ``why`` in one sentence."""

    result: Result
    why: str
    prerequisites: tuple[PrerequisiteTrace, ...] = ()
    targets: tuple[TargetTrace, ...] = ()
    rules: tuple[RuleTrace, ...] = ()
    rollout: RolloutTrace | None = None


def explain(snapshot: Snapshot, flag_key: str, context: Context, now_ms: int) -> Explanation:
    """The result of `evaluate` and how it came about. Never raises."""
    result = evaluate(snapshot, flag_key, context, now_ms)
    try:
        return _Explainer(snapshot, context, now_ms).explain(flag_key, result)
    except Exception:  # noqa: BLE001  # an explanation must not fail where the result did not
        return Explanation(result, "the steps of this result cannot be shown")


class _Explainer:
    def __init__(self, snapshot: Snapshot, context: Context, now_ms: int) -> None:
        self._snapshot = snapshot
        self._segments: Segments = snapshot.live_segments
        self._context = context
        self._now_ms = now_ms

    def explain(self, flag_key: str, result: Result) -> Explanation:
        flag = self._snapshot.flags.get(flag_key)
        if flag is None or flag.archived:
            why = "there is no such flag" if flag is None else "the flag is archived"
            return Explanation(result, why)
        if not valid_context(self._context):
            return Explanation(result, "the context's key is not 1 to 512 bytes of UTF-8")
        if not flag.enabled:
            return Explanation(result, "the flag is disabled: it serves its off variation")
        if flag_key in self._snapshot.cyclic_flag_keys:
            return Explanation(result, "its prerequisites lead back to itself")
        return self._steps(flag, result)

    def _steps(self, flag: Flag, result: Result) -> Explanation:
        prerequisites = self._prerequisites(flag.prerequisites)
        if prerequisites and not prerequisites[-1].holds:
            return Explanation(result, _failed_text(prerequisites[-1]), prerequisites)
        targets = self._targets(flag)
        if targets and targets[-1].holds:
            why = f"the context's key is in the target list of {targets[-1].variation_id!r}"
            return Explanation(result, _or_malformed(why, result), prerequisites, targets)
        rules = self._rules(flag.rules)
        if rules and rules[-1].holds:
            rule = flag.rules[len(rules) - 1]
            rollout, why = rule.rollout, f"rule {rule.name or rule.id!r} holds"
        else:
            rollout, why = flag.fallthrough, "nothing else matched: the fallthrough serves"
        trace = self._rollout(flag, rollout, result)
        return Explanation(result, _or_malformed(why, result), prerequisites, targets, rules, trace)

    def _prerequisites(
        self, prerequisites: tuple[Prerequisite, ...]
    ) -> tuple[PrerequisiteTrace, ...]:
        traces: list[PrerequisiteTrace] = []
        for each in prerequisites:
            result = evaluate(self._snapshot, each.flag_key, self._context, self._now_ms)
            required = self._snapshot.live_flags.get(each.flag_key)
            holds = (
                required is not None
                and required.enabled
                and result.error_kind is None
                and result.variation_id == each.variation_id
            )
            traces.append(PrerequisiteTrace(each.flag_key, each.variation_id, result, holds))
            if not holds:
                break
        return tuple(traces)

    def _targets(self, flag: Flag) -> tuple[TargetTrace, ...]:
        traces: list[TargetTrace] = []
        for target in flag.targets:
            holds = self._context.key in target.keys
            traces.append(TargetTrace(target.variation_id, len(target.keys), holds))
            if holds:
                break
        return tuple(traces)

    def _rules(self, rules: tuple[Rule, ...]) -> tuple[RuleTrace, ...]:
        traces: list[RuleTrace] = []
        for rule in rules:
            conditions = tuple(map(self._condition, rule.conditions))
            holds = all(each.holds for each in conditions)
            traces.append(RuleTrace(rule.id, rule.name, conditions, holds))
            if holds:
                break
        return tuple(traces)

    def _condition(self, condition: Condition) -> ConditionTrace:
        test = compile_condition(condition, in_any_segment, [])
        holds = test(self._context, self._segments)
        return ConditionTrace(condition, self._actual(condition), holds)

    def _actual(self, condition: Condition) -> tuple[str, ...]:
        if condition.operator in _SEGMENT_OPERATORS:
            return tuple(
                segment_id
                for segment_id in condition.values
                if is_member(self._segments, segment_id, self._context)
            )
        value = reader(condition.attribute)(self._context)
        return tuple(text for text in map(text_of, elements(value)) if text is not None)

    def _rollout(self, flag: Flag, rollout: Rollout, result: Result) -> RolloutTrace:
        value = salted_value(flag.salt or flag.key, rollout.dispatch_attribute, self._context)
        whole = len(rollout.shares) == 1 and result.error_kind is None and not result.bucketed
        number = None if whole else bucket(value)
        edges = (0, *share_edges(rollout.shares), BUCKETS + 1)
        shares = tuple(
            ShareTrace(
                share.variation_id,
                share.weight,
                start,
                end,
                served=number is None or start <= number < end,
            )
            for share, start, end in zip(rollout.shares, edges, edges[1:], strict=False)
        )
        return RolloutTrace(
            dispatch_attribute=rollout.dispatch_attribute or "key",
            hashed=value.decode("utf-8", "replace"),
            bucket=number,
            shares=shares,
            experiment_bucket=_experiment_bucket(flag, rollout, shares, value),
        )


def _experiment_bucket(
    flag: Flag, rollout: Rollout, shares: tuple[ShareTrace, ...], value: bytes
) -> int | None:
    """The second hash, where neither everybody nor nobody is in the experiment."""
    if flag.include_all_targets or not rollout.in_experiment:
        return None
    for share, trace in zip(rollout.shares, shares, strict=True):
        if trace.served and 0 < share.experiment_share < share.weight:
            return bucket(b"expt" + value)
    return None


def _failed_text(trace: PrerequisiteTrace) -> str:
    answered = trace.result.variation_id or trace.result.error_kind or "nothing"
    if trace.result.reason is Reason.OFF:
        answered = f"{answered}, being disabled"
    return (
        f"prerequisite {trace.flag_key!r} must serve {trace.required_variation_id!r}"
        f" and answered {str(answered)!r}"
    )


def _or_malformed(why: str, result: Result) -> str:
    return f"{why}, but it is malformed" if result.error_kind is not None else why
