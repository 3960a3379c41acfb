"""Every operator, as a test that is made once per condition and run many times.

A negative operator is the exact negation of its positive one: with a missing attribute,
with a list, with no values and with a pattern that RE2 refuses.
"""

from __future__ import annotations

import operator as compare
from collections.abc import Callable
from typing import Any, TypeVar

from featmesh.engine.attributes import Reader, elements, reader, text_of
from featmesh.engine.model import Condition, Context, Operator
from featmesh.engine.numbers import parse_number
from featmesh.engine.patterns import compile_pattern
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
    try:
        named = Operator(condition.operator)
    except ValueError:
        faults.append(f"unknown operator {_short(condition.operator)}: its condition never holds")
        return _never
    positive = _POSITIVE.get(named, named)
    test = _compile_positive(positive, condition, in_segments, faults)
    return test if positive is named else _negation(test)


def compile_conditions(
    conditions: tuple[Condition, ...], in_segments: SegmentTest[S], faults: list[str]
) -> Test[S]:
    """Makes the test that all conditions hold; none means that it always does."""
    tests = tuple(compile_condition(each, in_segments, faults) for each in conditions)
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda context, scope: first(context, scope) and second(context, scope)

    def all_hold(context: Context, scope: S) -> bool:
        for test in tests:  # noqa: SIM110  # a generator would cost more than the tests
            if not test(context, scope):
                return False
        return True

    return all_hold


def _compile_positive(
    named: Operator, condition: Condition, in_segments: SegmentTest[S], faults: list[str]
) -> Test[S]:
    if named is Operator.IN_SEGMENT:
        return in_segments(condition.values)
    read = reader(condition.attribute)
    if named is Operator.MATCHES:
        return _text_test(read, _pattern_match(condition.values, faults))
    make_match = _TEXT_OPERATORS.get(named)
    if make_match is not None:
        return _text_test(read, make_match(condition.values))
    if named in _BOOLEAN_OPERATORS:
        return _boolean_test(read, _BOOLEAN_OPERATORS[named])
    parse, compared, strongest = _ORDER_OPERATORS[named]
    operands = [each for each in map(parse, condition.values) if each is not None]
    return _order_test(read, parse, compared, strongest(operands)) if operands else _never


# --- strings ------------------------------------------------------------------------------


def _text_test(read: Reader, match: _Match) -> Test[object]:
    def test(context: Context, _scope: object) -> bool:
        value = read(context)
        if value.__class__ is str:  # by far the most common
            return match(value)
        return match("") if value is None else _any_text(value, match)

    return test


def _any_text(value: object, match: _Match) -> bool:
    return any(match(text) for text in map(text_of, elements(value)) if text is not None)


def _equality_match(values: tuple[str, ...]) -> _Match:
    return frozenset(values).__contains__


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


_TEXT_OPERATORS: dict[Operator, Callable[[tuple[str, ...]], _Match]] = {
    Operator.EQUAL: _equality_match,
    Operator.IN: _equality_match,
    Operator.CONTAINS: _substring_match,
    Operator.STARTS_WITH: _prefix_match,
    Operator.ENDS_WITH: _suffix_match,
}


# --- booleans -----------------------------------------------------------------------------

_BOOLEAN_OPERATORS = {Operator.IS_TRUE: True, Operator.IS_FALSE: False}
_BOOLEAN_TEXTS = {"true": True, "false": False}


def _boolean_test(read: Reader, wanted: bool) -> Test[object]:
    def test(context: Context, _scope: object) -> bool:
        value = read(context)
        if isinstance(value, bool):
            return value is wanted
        return any(
            each is wanted or (isinstance(each, str) and _BOOLEAN_TEXTS.get(each.lower()) is wanted)
            for each in elements(value)
        )

    return test


# --- numbers, versions and times ----------------------------------------------------------


def _parse_version_of(value: object) -> Any:
    text = text_of(value)
    return None if text is None else parse_version(text)


def _order_test(
    read: Reader, parse: _Parse, compared: Callable[[Any, Any], bool], bound: Any
) -> Test[object]:
    def test(context: Context, _scope: object) -> bool:
        value = read(context)
        if isinstance(value, tuple | list):
            parsed = map(parse, value)
            return any(each is not None and compared(each, bound) for each in parsed)
        single = parse(value)
        return single is not None and compared(single, bound)

    return test


# Below any of several operands is below the greatest; equality keeps them all as a set.
_ORDER_OPERATORS: dict[
    Operator, tuple[_Parse, Callable[[Any, Any], bool], Callable[[list[Any]], Any]]
] = {
    Operator.LESS_THAN: (parse_number, compare.lt, max),
    Operator.LESS_OR_EQUAL: (parse_number, compare.le, max),
    Operator.GREATER_THAN: (parse_number, compare.gt, min),
    Operator.GREATER_OR_EQUAL: (parse_number, compare.ge, min),
    Operator.SEMVER_EQUAL: (_parse_version_of, lambda each, all_: each in all_, frozenset),
    Operator.SEMVER_LESS_THAN: (_parse_version_of, compare.lt, max),
    Operator.SEMVER_LESS_OR_EQUAL: (_parse_version_of, compare.le, max),
    Operator.SEMVER_GREATER_THAN: (_parse_version_of, compare.gt, min),
    Operator.SEMVER_GREATER_OR_EQUAL: (_parse_version_of, compare.ge, min),
    Operator.BEFORE: (parse_time, compare.lt, max),
    Operator.AFTER: (parse_time, compare.gt, min),
}


def _never(_context: Context, _scope: object) -> bool:
    return False


def _negation(test: Test[S]) -> Test[S]:
    return lambda context, scope: not test(context, scope)


def _short(text: object) -> str:
    shown = ascii(text)
    return shown if len(shown) <= 80 else shown[:77] + "..."
