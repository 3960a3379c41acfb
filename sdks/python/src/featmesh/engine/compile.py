"""Flags, prepared once per revision so that an evaluation only looks things up.

Every result that a flag can give is made here, as results are immutable; an evaluation
hands one of them out and allocates nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from featmesh.engine.dependencies import nested_segment_ids, prerequisite_keys
from featmesh.engine.membership import Segments, in_any_segment
from featmesh.engine.model import (
    ErrorKind,
    Flag,
    Reason,
    Result,
    Rollout,
    Rule,
    Value,
    ValueType,
)
from featmesh.engine.operators import Test, compile_conditions
from featmesh.engine.records import record
from featmesh.engine.rollout import Serving, compile_rollout


@record(frozen=True, slots=True)
class CompiledPrerequisite:
    """Another flag's variation that must be served, and the result when it is not."""

    flag_key: str
    variation_id: str
    failed: Result


@record(frozen=True, slots=True)
class CompiledFlag:
    """A flag in the shape that answers fastest. Archived flags are never compiled."""

    key: str
    enabled: bool
    constant: Result | None
    """The result where nothing about the context or another flag can change it."""
    malformed: Result
    prerequisites: tuple[CompiledPrerequisite, ...]
    targets: Mapping[str, Result]
    rules: tuple[tuple[tuple[Test[Segments], ...], Serving], ...]
    """What each rule demands, all of it, and what it serves."""
    fallthrough: Serving
    prerequisite_keys: tuple[str, ...]
    segment_ids: tuple[str, ...]
    faults: tuple[str, ...]


def compile_flag(flag: Flag) -> CompiledFlag:
    """Prepares a flag.

    Only what really serves a context can make its result malformed: a context whose
    target or rollout is sound gets its value although another one of the flag is not.
    """
    return _FlagCompiler(flag).compile()


def broken_flag(flag: Flag) -> CompiledFlag:
    """Stands in for a flag that cannot be compiled: a GENERAL error for every context."""
    failure = error_result(flag.key, ErrorKind.GENERAL, revision=flag.revision)
    return CompiledFlag(
        key=flag.key,
        enabled=True,
        constant=failure,
        malformed=failure,
        prerequisites=(),
        targets={},
        rules=(),
        fallthrough=failure,
        prerequisite_keys=(),
        segment_ids=(),
        faults=("it cannot be compiled",),
    )


def error_result(flag_key: str, kind: ErrorKind, *, revision: int = 0) -> Result:
    """A result without a value."""
    return Result(flag_key, None, "", Reason.ERROR, flag_revision=revision, error_kind=kind)


class _FlagCompiler:
    def __init__(self, flag: Flag) -> None:
        self._flag = flag
        self._salt = flag.salt or flag.key
        self._values = _usable_values(flag)
        self._malformed = error_result(flag.key, ErrorKind.MALFORMED_FLAG, revision=flag.revision)
        self._faults: list[str] = []

    def compile(self) -> CompiledFlag:
        flag = self._flag
        off = self._result(flag.off_variation_id, Reason.OFF)
        rules = tuple([self._rule(rule) for rule in flag.rules])
        fallthrough = self._serving(flag.fallthrough, Reason.FALLTHROUGH)
        targets = self._targets()
        prerequisites = self._prerequisites()
        if not flag.enabled:
            constant: Result | None = off
        elif prerequisites or targets or rules:
            constant = None
        else:
            constant = fallthrough if isinstance(fallthrough, Result) else None
        return CompiledFlag(
            key=flag.key,
            enabled=flag.enabled,
            constant=constant,
            malformed=self._malformed,
            prerequisites=prerequisites,
            targets=targets,
            rules=rules,
            fallthrough=fallthrough,
            prerequisite_keys=prerequisite_keys(flag) if prerequisites else (),
            segment_ids=nested_segment_ids(flag) if rules else (),
            faults=tuple(dict.fromkeys(self._faults)),
        )

    def _prerequisites(self) -> tuple[CompiledPrerequisite, ...]:
        off = self._flag.off_variation_id
        return tuple(
            CompiledPrerequisite(
                flag_key=each.flag_key,
                variation_id=each.variation_id,
                failed=self._result(
                    off, Reason.PREREQUISITE_FAILED, prerequisite_key=each.flag_key
                ),
            )
            for each in self._flag.prerequisites
        )

    def _targets(self) -> dict[str, Result]:
        results: dict[str, Result] = {}
        for target in self._flag.targets:
            result = self._result(
                target.variation_id,
                Reason.TARGET_MATCH,
                in_experiment=self._flag.include_all_targets,
            )
            for key in target.keys:
                results.setdefault(key, result)
        return results

    def _rule(self, rule: Rule) -> tuple[tuple[Test[Segments], ...], Serving]:
        tests = compile_conditions(rule.conditions, in_any_segment, self._faults)
        return tests, self._serving(rule.rollout, Reason.RULE_MATCH, rule)

    def _serving(self, rollout: Rollout, reason: Reason, rule: Rule | None = None) -> Serving:
        def outcome(variation_id: str, *, bucketed: bool, in_experiment: bool) -> Result:
            return self._result(
                variation_id, reason, rule=rule, bucketed=bucketed, in_experiment=in_experiment
            )

        return compile_rollout(
            rollout,
            salt=self._salt,
            include_all=self._flag.include_all_targets,
            outcome=outcome,
        )

    def _result(
        self,
        variation_id: str,
        reason: Reason,
        *,
        rule: Rule | None = None,
        bucketed: bool = False,
        in_experiment: bool = False,
        prerequisite_key: str = "",
    ) -> Result:
        """What serving the variation gives; notes a fault if the flag cannot."""
        value = self._values.get(variation_id)
        if value is None:
            self._faults.append(f"no usable variation {ascii(variation_id)[:80]} for {reason}")
            return self._malformed
        flag = self._flag
        return Result(  # by position: thousands are made at a time
            flag.key,
            value,
            variation_id,
            reason,
            "" if rule is None else rule.id,
            "" if rule is None else rule.name,
            bucketed,
            in_experiment,
            flag.revision,
            None,
            prerequisite_key,
            flag.value_type,
        )


def _usable_values(flag: Flag) -> dict[str, Value]:
    """Values by variation id, without those that have no id or are of another type."""
    values: dict[str, Value] = {}
    for variation in flag.variations:
        if variation.id and _fits(variation.value, flag.value_type):
            values.setdefault(variation.id, variation.value)
    return values


def _fits(value: object, value_type: ValueType) -> bool:
    if value_type is ValueType.BOOLEAN:
        return isinstance(value, bool)
    if value_type is ValueType.NUMBER:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value)  # type: ignore[arg-type]  # a number by now
    return isinstance(value, str)
