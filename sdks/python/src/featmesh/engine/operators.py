"""Every operator, as a test that is made once per condition and run many times.

A negative operator is the exact negation of its positive one: with a missing attribute,
with a list, with no values and with a pattern that RE2 refuses.

A test is the bound method of a small record and not a closure: two objects instead of five
for each of thousands of conditions. The two commonest tests read their attribute themselves.
"""

from __future__ import annotations

import operator as compare
from collections.abc import Callable
from typing import Any, TypeVar

from featmesh.engine.attributes import BUILT_IN, Reader, elements, reader, text_of
from featmesh.engine.model import Condition, Context, Operator
from featmesh.engine.numbers import EXACT_INTEGER, above, below, in_range, parse_number
from featmesh.engine.patterns import compile_pattern
from featmesh.engine.records import record
from featmesh.engine.semver import parse_version
from featmesh.engine.times import parse_time

S = TypeVar("S")
"""What a test is handed beside the context, to look segments up in."""

Test = Callable[[Context, S], bool]
SegmentTest = Callable[[tuple[str, ...]], Test[S]]
"""Makes the test "is a member of any of these segments"."""

_Match = Callable[[str], bool]
_Parse = Callable[[object], Any]

_POSITIVE = {
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_CONTAINS: Operator.CONTAINS,
    Operator.NOT_MATCHES: Operator.MATCHES,
    Operator.NOT_IN_SEGMENT: Operator.IN_SEGMENT,
}


def compile_condition(
    condition: Condition, in_segments: SegmentTest[S], faults: list[str]
) -> Test[S]:
    """Makes the test of one condition; faults found on the way are appended to the list.

    An operator that this engine does not know never holds.
    """
    named = _OPERATORS.get(condition.operator)
    if named is None:
        faults.append(f"unknown operator {_short(condition.operator)}: its condition never holds")
        return _never
    positive = _POSITIVE.get(named, named)
    test = _compile_positive(positive, condition, in_segments, faults)
    return test if positive is named else _negation(test)


def compile_conditions(
    conditions: tuple[Condition, ...], in_segments: SegmentTest[S], faults: list[str]
) -> tuple[Test[S], ...]:
    """Makes the tests that must all hold; none means that they always do."""
    return tuple([compile_condition(each, in_segments, faults) for each in conditions])


def _compile_positive(
    named: Operator, condition: Condition, in_segments: SegmentTest[S], faults: list[str]
) -> Test[S]:
    attribute, values = condition.attribute, condition.values
    if named in _EQUALITY_OPERATORS:
        return _equality_test(attribute, frozenset(values))
    if named is Operator.IN_SEGMENT:
        return in_segments(values)
    if named is Operator.MATCHES:
        return _TextMatches(reader(attribute), _pattern_match(values, faults)).holds
    make_match = _TEXT_OPERATORS.get(named)
    if make_match is not None:
        return _TextMatches(reader(attribute), make_match(values)).holds
    if named in _BOOLEAN_OPERATORS:
        return _BooleanIs(reader(attribute), _BOOLEAN_OPERATORS[named]).holds
    return _order_test(named, attribute, values)


# --- strings ------------------------------------------------------------------------------


@record(frozen=True, slots=True, eq=False)
class _AttributeEquals:
    attribute: str
    accepted: frozenset[str]

    def holds(self, context: Context, _scope: object) -> bool:
        value = context.attributes.get(self.attribute)
        if value.__class__ is str:  # by far the most common
            return value in self.accepted
        if value is None:
            return "" in self.accepted
        return _any_text(value, self.accepted.__contains__)


@record(frozen=True, slots=True, eq=False)
class _TextMatches:
    read: Reader
    match: _Match

    def holds(self, context: Context, _scope: object) -> bool:
        value: Any = self.read(context)
        if value.__class__ is str:
            return self.match(value)
        return self.match("") if value is None else _any_text(value, self.match)


def _equality_test(attribute: str, accepted: frozenset[str]) -> Test[object]:
    if attribute in BUILT_IN:
        return _TextMatches(reader(attribute), accepted.__contains__).holds
    return _AttributeEquals(attribute, accepted).holds


def _any_text(value: object, match: _Match) -> bool:
    return any(match(text) for text in map(text_of, elements(value)) if text is not None)


def _substring_match(values: tuple[str, ...]) -> _Match:
    if len(values) == 1:
        (only,) = values
        return lambda text: only in text
    return lambda text: any(value in text for value in values)


def _prefix_match(values: tuple[str, ...]) -> _Match:
    return lambda text: text.startswith(values)


def _suffix_match(values: tuple[str, ...]) -> _Match:
    return lambda text: text.endswith(values)


def _pattern_match(values: tuple[str, ...], faults: list[str]) -> _Match:
    compiled = {value: compile_pattern(value) for value in values}
    faults.extend(
        f"RE2 refuses the pattern {_short(value)}: it never matches"
        for value, found in compiled.items()
        if found is None
    )
    patterns = tuple(found for found in compiled.values() if found is not None)
    if len(patterns) == 1:
        return patterns[0]
    return lambda text: any(found(text) for found in patterns)


_EQUALITY_OPERATORS = frozenset({Operator.EQUAL, Operator.IN})

_TEXT_OPERATORS: dict[Operator, Callable[[tuple[str, ...]], _Match]] = {
    Operator.CONTAINS: _substring_match,
    Operator.STARTS_WITH: _prefix_match,
    Operator.ENDS_WITH: _suffix_match,
}


# --- booleans -----------------------------------------------------------------------------

_BOOLEAN_OPERATORS = {Operator.IS_TRUE: True, Operator.IS_FALSE: False}
_BOOLEAN_TEXTS = {"true": True, "false": False}


@record(frozen=True, slots=True, eq=False)
class _BooleanIs:
    read: Reader
    wanted: bool

    def holds(self, context: Context, _scope: object) -> bool:
        value, wanted = self.read(context), self.wanted
        if isinstance(value, bool):
            return value is wanted
        return any(
            each is wanted or (isinstance(each, str) and _BOOLEAN_TEXTS.get(each.lower()) is wanted)
            for each in elements(value)
        )


# --- numbers, versions and times ----------------------------------------------------------


@record(frozen=True, slots=True, eq=False)
class _AttributeInRange:
    """From ``low`` to ``high``, both finite and included."""

    attribute: str
    low: float
    high: float

    def holds(self, context: Context, _scope: object) -> bool:
        value: Any = context.attributes.get(self.attribute)
        if value.__class__ is float or (
            value.__class__ is int and -EXACT_INTEGER <= value <= EXACT_INTEGER
        ):
            return self.low <= value <= self.high
        return _any_parsed(value, parse_number, in_range, (self.low, self.high))


@record(frozen=True, slots=True, eq=False)
class _Compares:
    """Holds when ``compared`` says so of the parsed attribute and the bound."""

    read: Reader
    parse: _Parse
    compared: Callable[[Any, Any], bool]
    bound: Any

    def holds(self, context: Context, _scope: object) -> bool:
        return _any_parsed(self.read(context), self.parse, self.compared, self.bound)


def _any_parsed(
    value: object, parse: _Parse, compared: Callable[[Any, Any], bool], bound: Any
) -> bool:
    parsed = map(parse, elements(value))
    return any(each is not None and compared(each, bound) for each in parsed)


def _order_test(named: Operator, attribute: str, values: tuple[str, ...]) -> Test[object]:
    parse, compared, strongest = _ORDER_OPERATORS[named]
    operands = [each for each in map(parse, values) if each is not None]
    if not operands:
        return _never
    bound = strongest(operands)
    if compared is in_range and attribute not in BUILT_IN:
        return _AttributeInRange(attribute, *bound).holds
    return _Compares(reader(attribute), parse, compared, bound).holds


def _parse_version_of(value: object) -> Any:
    text = text_of(value)
    return None if text is None else parse_version(text)


# Below any of several operands is below the greatest; equality keeps them all as a set.
_ORDER_OPERATORS: dict[
    Operator, tuple[_Parse, Callable[[Any, Any], bool], Callable[[list[Any]], Any]]
] = {
    Operator.LESS_THAN: (parse_number, in_range, lambda all_: below(max(all_), included=False)),
    Operator.LESS_OR_EQUAL: (parse_number, in_range, lambda all_: below(max(all_), included=True)),
    Operator.GREATER_THAN: (parse_number, in_range, lambda all_: above(min(all_), included=False)),
    Operator.GREATER_OR_EQUAL: (
        parse_number,
        in_range,
        lambda all_: above(min(all_), included=True),
    ),
    Operator.SEMVER_EQUAL: (_parse_version_of, lambda each, all_: each in all_, frozenset),
    Operator.SEMVER_LESS_THAN: (_parse_version_of, compare.lt, max),
    Operator.SEMVER_LESS_OR_EQUAL: (_parse_version_of, compare.le, max),
    Operator.SEMVER_GREATER_THAN: (_parse_version_of, compare.gt, min),
    Operator.SEMVER_GREATER_OR_EQUAL: (_parse_version_of, compare.ge, min),
    Operator.BEFORE: (parse_time, compare.lt, max),
    Operator.AFTER: (parse_time, compare.gt, min),
}

_OPERATORS = {str(each): each for each in Operator}


def _never(_context: Context, _scope: object) -> bool:
    return False


def _negation(test: Test[S]) -> Test[S]:
    return lambda context, scope: not test(context, scope)


def _short(text: object) -> str:
    shown = ascii(text)
    return shown if len(shown) <= 80 else shown[:77] + "..."
