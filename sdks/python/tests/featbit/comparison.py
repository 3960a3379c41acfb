"""Compares the two sides, part by part and as a whole, and explains what differs.

A user's variation may differ only because of a condition or a rollout that is answered
differently, and that only for a documented reason. So every condition and every rollout of a
flag is put to both sides; each difference must be recognised; and FeatBit's own evaluator,
given our answers for exactly those parts, must then serve what we serve.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from featmesh.engine import Condition, Context, Flag, Reason, Result, Rollout
from featmesh.engine.compile import error_result
from featmesh.engine.model import ErrorKind
from featmesh.engine.operators import Test, compile_condition
from featmesh.engine.rollout import Serving, compile_rollout

from .divergences import CONDITIONS, ROLLOUTS, ConditionCase, RolloutCase
from .sides import FeatBit, FeatMesh, Json

MAX_SHOWN = 20


@dataclass
class Tally:
    """What was compared, what differed and why."""

    compared: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)
    differing_results: int = 0


@dataclass(frozen=True)
class _Parts:
    """A flag's conditions and rollouts, as both sides hold them."""

    conditions: list[tuple[Json, Test[None]]]
    rollouts: list[tuple[Json, Serving]]


class Comparison:
    """Both sides of one export; `tally` grows with every user that is compared."""

    def __init__(self, featbit: FeatBit, featmesh: FeatMesh) -> None:
        self.tally = Tally()
        self._featbit, self._featmesh = featbit, featmesh
        self._segments = {each.id: each for each in featmesh.segments}
        self._parts = {each.key: self._parts_of(each) for each in featmesh.flags}

    def compare(self, flag_key: str, user: Context) -> None:
        """Puts a flag and its parts to both sides for one user."""
        conditions = dict(self._differing_conditions(flag_key, user))
        rollouts = dict(self._differing_rollouts(flag_key, user))
        result = self._featmesh.result(flag_key, user)
        theirs = self._featbit.variation_id(flag_key, user)
        self._count(flag_key, result)
        if theirs == result.variation_id:
            return
        self.tally.differing_results += 1
        with_our_parts = self._featbit.variation_id_given(
            flag_key, user, conditions=conditions, rollouts=rollouts
        )
        if with_our_parts != result.variation_id:
            self._unexplained(f"{flag_key} for {user}: {theirs!r} there, {result} here")

    def _differing_conditions(self, flag_key: str, user: Context) -> Iterator[tuple[int, bool]]:
        for condition, test in self._parts[flag_key].conditions:
            ours = test(user, None)
            self.tally.compared[condition["op"]] += 1
            if ours == self._featbit.holds(condition, user):
                continue
            case = ConditionCase(condition, user, ours)
            reasons = [name for name, recognises in CONDITIONS.items() if recognises(case)]
            self._explain(reasons, f"{condition} for {user}: {ours} here")
            yield id(condition), ours

    def _differing_rollouts(self, flag_key: str, user: Context) -> Iterator[tuple[int, str]]:
        for rollout, serving in self._parts[flag_key].rollouts:
            served = serving if isinstance(serving, Result) else serving.serve(user)
            ours = served.variation_id
            theirs = self._featbit.rollout(flag_key, rollout, user)
            self.tally.compared[_kind(rollout)] += 1
            if ours == theirs:
                continue
            case = RolloutCase(flag_key, rollout, user, theirs, ours)
            reasons = [name for name, recognises in ROLLOUTS.items() if recognises(case)]
            self._explain(reasons, f"{flag_key}, {rollout} for {user}: {theirs!r}, here {ours!r}")
            yield id(rollout), ours

    def _explain(self, reasons: list[str], difference: str) -> None:
        self.tally.explained.update(reasons)
        if not reasons:
            self._unexplained(difference)

    def _unexplained(self, difference: str) -> None:
        if len(self.tally.unexplained) < MAX_SHOWN:
            self.tally.unexplained.append(difference)

    def _count(self, flag_key: str, result: Result) -> None:
        self.tally.compared["result"] += 1
        self.tally.compared[f"reason {result.reason}"] += 1
        for rule in self._featbit.flags[flag_key]["rules"]:
            if rule["id"] == result.rule_id:
                properties = [condition["property"] for condition in rule["conditions"]]
                self.tally.compared.update(each for each in properties if each.startswith("User "))

    def _parts_of(self, flag: Flag) -> _Parts:
        theirs = self._featbit.flags[flag.key]
        conditions = [
            pair
            for their_rule, rule in zip(theirs["rules"], flag.rules, strict=True)
            for pair in zip(their_rule["conditions"], rule.conditions, strict=True)
        ]
        rollouts = [
            (their_rule, _serving(flag, rule.rollout))
            for their_rule, rule in zip(theirs["rules"], flag.rules, strict=True)
        ]
        rollouts.append((theirs["fallthrough"], _serving(flag, flag.fallthrough)))
        reached = [*conditions, *self._of_segments(_segment_ids(conditions))]
        return _Parts(
            [
                (each, compile_condition(ours, _no_segment, []))
                for each, ours in reached
                if each["op"]
            ],
            rollouts,
        )

    def _of_segments(self, segment_ids: set[str]) -> Iterator[tuple[Json, Condition]]:
        waiting, seen = list(segment_ids), set(segment_ids)
        while waiting:
            segment_id = waiting.pop()
            if segment_id not in self._featbit.segments:
                continue  # archived: no members on both sides
            their_rules = self._featbit.segments[segment_id]["rules"]
            pairs = [
                pair
                for theirs, ours in zip(their_rules, self._segments[segment_id].rules, strict=True)
                for pair in zip(theirs["conditions"], ours.conditions, strict=True)
            ]
            yield from pairs
            further = _segment_ids(pairs) - seen
            seen |= further
            waiting.extend(further)


def _segment_ids(pairs: list[tuple[Json, Condition]]) -> set[str]:
    return {each for theirs, ours in pairs if not theirs["op"] for each in ours.values}


def _no_segment(_segment_ids: tuple[str, ...]) -> Test[None]:
    raise AssertionError("segments are compared by their own conditions")


def _serving(flag: Flag, rollout: Rollout) -> Serving:
    def outcome(variation_id: str, *, bucketed: bool, in_experiment: bool) -> Result:
        if variation_id not in {each.id for each in flag.variations}:
            return error_result(flag.key, ErrorKind.MALFORMED_FLAG)
        return Result(flag.key, True, variation_id, Reason.FALLTHROUGH, bucketed=bucketed)

    return compile_rollout(rollout, salt=flag.salt or flag.key, include_all=False, outcome=outcome)


def _kind(rollout: Json) -> str:
    if len(rollout["variations"]) == 1:
        return "rollout of one"
    return "rollout by attribute" if rollout["dispatchKey"] else "rollout by key"
