"""Conditions of rules: what an operator takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from featmesh.engine.model import Operator
from featmesh.engine.numbers import parse_number
from featmesh.engine.patterns import valid_pattern
from featmesh.engine.semver import parse_version
from featmesh.engine.times import parse_time
from featmesh.flag.v1 import condition_pb2
from services.runtime.violations import Violations, quoted

SEGMENT_OPERATORS: Final = frozenset({Operator.IN_SEGMENT, Operator.NOT_IN_SEGMENT})
_BOOLEAN_OPERATORS: Final = frozenset({Operator.IS_TRUE, Operator.IS_FALSE})
_PREFIX: Final = "OPERATOR_"
_ID_BYTES: Final = 64
"""Most bytes of a segment's id."""

_Accepts = Callable[[str], bool]


def _number(text: str) -> bool:
    return parse_number(text) is not None


def _version(text: str) -> bool:
    return parse_version(text) is not None


def _time(text: str) -> bool:
    return parse_time(text) is not None


_NUMBER: Final = (_number, "is not a finite decimal number")
_VERSION: Final = (_version, "is not a version as in SemVer 2.0")
_TIME: Final = (_time, "is neither an RFC 3339 time nor milliseconds since the epoch")
_PATTERN: Final = (valid_pattern, "is not a pattern that RE2 accepts")

_OPERANDS: Final[Mapping[Operator, tuple[_Accepts, str]]] = {
    Operator.MATCHES: _PATTERN,
    Operator.NOT_MATCHES: _PATTERN,
    Operator.LESS_THAN: _NUMBER,
    Operator.LESS_OR_EQUAL: _NUMBER,
    Operator.GREATER_THAN: _NUMBER,
    Operator.GREATER_OR_EQUAL: _NUMBER,
    Operator.SEMVER_EQUAL: _VERSION,
    Operator.SEMVER_LESS_THAN: _VERSION,
    Operator.SEMVER_LESS_OR_EQUAL: _VERSION,
    Operator.SEMVER_GREATER_THAN: _VERSION,
    Operator.SEMVER_GREATER_OR_EQUAL: _VERSION,
    Operator.BEFORE: _TIME,
    Operator.AFTER: _TIME,
}
"""What the operands of an operator must be; those of the others may be any text."""


def check_conditions(
    violations: Violations, path: str, conditions: Sequence[condition_pb2.Condition]
) -> None:
    """Checks all conditions of one rule, whose list stands at ``path``."""
    for index, condition in enumerate(conditions):
        operator = _operator(condition.operator)
        if operator is not None:
            _check_attribute(violations, f"{path}[{index}].attribute", operator, condition)
            _check_operands(violations, f"{path}[{index}].values", operator, condition.values)


def _operator(number: int) -> Operator | None:
    """None for what the field's rule refuses."""
    if (
        number == condition_pb2.OPERATOR_UNSPECIFIED
        or number not in condition_pb2.Operator.values()
    ):
        return None
    name = condition_pb2.Operator.Name(condition_pb2.Operator.ValueType(number))
    return Operator(name.removeprefix(_PREFIX))


def _check_attribute(
    violations: Violations, path: str, operator: Operator, condition: condition_pb2.Condition
) -> None:
    if operator not in SEGMENT_OPERATORS:
        if not condition.attribute:
            violations.add(path, "is required")
    elif condition.attribute:
        violations.add(path, f"must be empty for {operator}")


def _check_operands(
    violations: Violations, path: str, operator: Operator, operands: Sequence[str]
) -> None:
    if operator in _BOOLEAN_OPERATORS:
        if operands:
            violations.add(path, f"must be empty for {operator}")
        return
    if not operands:
        violations.add(path, "is required")
    accepts, complaint = _OPERANDS.get(operator, (None, ""))
    for index, operand in enumerate(operands):
        if operator in SEGMENT_OPERATORS:
            violations.text(f"{path}[{index}]", operand, _ID_BYTES, low=1)
        elif accepts is not None and not accepts(operand):
            violations.add(f"{path}[{index}]", f"{complaint}: {quoted(operand)}")
