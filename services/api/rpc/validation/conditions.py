"""Conditions of rules, and the lists of context keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from featmesh.engine.model import Operator
from featmesh.engine.numbers import parse_number
from featmesh.engine.patterns import valid_pattern
from featmesh.engine.semver import parse_version
from featmesh.engine.times import parse_time
from featmesh.flag.v1 import condition_pb2
from services.api.rpc import limits
from services.api.rpc.validation.faults import Faults, quoted

SEGMENT_OPERATORS: Final = frozenset({Operator.IN_SEGMENT, Operator.NOT_IN_SEGMENT})
_BOOLEAN_OPERATORS: Final = frozenset({Operator.IS_TRUE, Operator.IS_FALSE})
_PREFIX: Final = "OPERATOR_"

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
    faults: Faults, path: str, conditions: Sequence[condition_pb2.Condition]
) -> None:
    """All conditions of one rule, whose list stands at ``path``."""
    faults.count(path, len(conditions), limits.CONDITIONS)
    for index, condition in enumerate(conditions):
        _check_condition(faults, f"{path}[{index}]", condition)


def check_context_keys(
    faults: Faults, path: str, keys: Sequence[str], *, distinct: bool = False
) -> None:
    """Each 1 to 512 bytes; the caller checks how many."""
    for index, key in enumerate(keys):
        # A path is made only for a fault: there may be 100,000 keys.
        if not 1 <= len(key.encode()) <= limits.CONTEXT_KEY_BYTES:
            faults.text(f"{path}[{index}]", key, limits.CONTEXT_KEY_BYTES, low=1)
    if distinct and len(set(keys)) < len(keys):
        faults.unique((f"{path}[{index}]", key) for index, key in enumerate(keys))


def _check_condition(faults: Faults, path: str, condition: condition_pb2.Condition) -> None:
    operator = _operator(faults, f"{path}.operator", condition.operator)
    if operator in SEGMENT_OPERATORS:
        if condition.attribute:
            faults.add(f"{path}.attribute", f"must be empty for {operator}")
    else:
        faults.line(f"{path}.attribute", condition.attribute, limits.ATTRIBUTE_BYTES, low=1)
    _check_operands(faults, f"{path}.values", operator, condition.values)


def _operator(faults: Faults, path: str, number: int) -> Operator | None:
    if number not in condition_pb2.Operator.values():
        faults.add(path, f"is {number}, which is no operator that is known here")
        return None
    if number == condition_pb2.OPERATOR_UNSPECIFIED:
        faults.add(path, "is required")
        return None
    name = condition_pb2.Operator.Name(condition_pb2.Operator.ValueType(number))
    return Operator(name.removeprefix(_PREFIX))


def _check_operands(
    faults: Faults, path: str, operator: Operator | None, operands: Sequence[str]
) -> None:
    if operator in _BOOLEAN_OPERATORS:
        if operands:
            faults.add(path, f"must be empty for {operator}")
        return
    faults.count(path, len(operands), limits.OPERANDS, low=1 if operator else 0)
    high = limits.ID_BYTES if operator in SEGMENT_OPERATORS else limits.OPERAND_BYTES
    low = 1 if operator in SEGMENT_OPERATORS else 0
    accepts, complaint = _OPERANDS.get(operator, (None, "")) if operator else (None, "")
    for index, operand in enumerate(operands):
        size = len(operand.encode())
        if not low <= size <= high:
            faults.text(f"{path}[{index}]", operand, high, low=low)
        elif accepts is not None and not accepts(operand):
            faults.add(f"{path}[{index}]", f"{complaint}: {quoted(operand)}")
