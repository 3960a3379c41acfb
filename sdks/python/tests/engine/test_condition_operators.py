"""Every operator of evaluation.md, row by row."""

from __future__ import annotations

import math

import pytest

from featmesh.engine import Attribute, Condition, Context, Operator, valid_pattern
from featmesh.engine.membership import Segments, in_any_segment
from featmesh.engine.operators import compile_condition

MISSING = object()
NO_SEGMENTS: Segments = {}


def holds(operator: str, attribute: object, *values: str) -> bool:
    given = {} if attribute is MISSING else {"a": attribute}
    test = compile_condition(Condition("a", operator, values), in_any_segment, [])
    return test(Context("alice", "Alice", given), NO_SEGMENTS)  # type: ignore[arg-type]


TEXT_CASES: list[tuple[str, object, tuple[str, ...], bool]] = [
    ("EQUAL", "fr", ("de", "fr"), True),
    ("EQUAL", "FR", ("fr",), False),
    ("EQUAL", "e\u0301", ("\u00e9",), False),  # code points, not what they look like
    ("EQUAL", MISSING, ("",), True),
    ("EQUAL", MISSING, ("fr",), False),
    ("EQUAL", "", (), False),
    ("EQUAL", 10.0, ("10",), True),
    ("EQUAL", 10, ("10.0",), False),
    ("EQUAL", True, ("true",), True),
    ("EQUAL", 1, ("true",), False),
    ("EQUAL", ("x", "fr"), ("fr",), True),
    ("EQUAL", ["x", "fr"], ("fr",), True),
    ("EQUAL", (), ("",), False),
    ("EQUAL", {"no": "attribute"}, ("",), False),
    ("IN", "fr", ("de", "fr"), True),
    ("IN", "it", ("de", "fr"), False),
    ("CONTAINS", "gmail.com", ("x", "mail"), True),
    ("CONTAINS", "gmail.com", ("Mail",), False),
    ("CONTAINS", "abc", ("",), True),
    ("CONTAINS", MISSING, ("a",), False),
    ("CONTAINS", ("abc", "xyz"), ("yz",), True),
    ("CONTAINS", 3.25, (".2",), True),
    ("STARTS_WITH", "alice@x", ("bob", "alice"), True),
    ("STARTS_WITH", "xalice", ("alice",), False),
    ("STARTS_WITH", MISSING, ("",), True),
    ("STARTS_WITH", "a", (), False),
    ("ENDS_WITH", "a@example.org", (".com", ".org"), True),
    ("ENDS_WITH", "a@example.org", ("example",), False),
    ("ENDS_WITH", ("x", "y.org"), (".org",), True),
    ("MATCHES", "user-42x", ("[0-9]{2}",), True),
    ("MATCHES", "user-42x", ("^[0-9]+$",), False),
    ("MATCHES", "ÜBER", ("(?i)über",), True),
    ("MATCHES", "b", ("a", "b"), True),
    ("MATCHES", MISSING, ("^$",), True),
    ("MATCHES", "(", ("(", "(?=x)"), False),
    ("MATCHES", "b", ("(", "b"), True),
    ("MATCHES", ("a", "b1"), ("[0-9]",), True),
    ("MATCHES", "a" * 5000 + "!", ("(a+)+$",), False),
    ("MATCHES", "lone \ud800", ("lone",), True),
]


@pytest.mark.parametrize(("operator", "attribute", "values", "expected"), TEXT_CASES)
def test_string_operators(
    operator: str, attribute: object, values: tuple[str, ...], expected: bool
) -> None:
    assert holds(operator, attribute, *values) is expected


@pytest.mark.parametrize(("operator", "attribute", "values", "expected"), TEXT_CASES)
def test_a_negative_operator_is_the_exact_negation(
    operator: str, attribute: object, values: tuple[str, ...], expected: bool
) -> None:
    if f"NOT_{operator}" in Operator.__members__:
        assert holds(f"NOT_{operator}", attribute, *values) is not expected


@pytest.mark.parametrize(
    ("operator", "attribute", "values", "expected"),
    [
        ("LESS_THAN", 5, ("6",), True),
        ("LESS_THAN", 6, ("6",), False),
        ("LESS_THAN", 6, ("1", "7"), True),
        ("LESS_OR_EQUAL", "22", ("22",), True),
        ("LESS_OR_EQUAL", " \t22.5e0\r\n", ("22",), False),
        ("GREATER_THAN", "+1e3", ("999.5",), True),
        ("GREATER_THAN", "-1", ("-2",), True),
        ("GREATER_THAN", 5, ("9", "4"), True),
        ("GREATER_OR_EQUAL", 4.0, ("4",), True),
        ("GREATER_OR_EQUAL", ("x", "3", "9"), ("8",), True),
        ("GREATER_OR_EQUAL", ("x", "3"), ("8",), False),
        ("GREATER_THAN", MISSING, ("-1",), False),
        ("LESS_THAN", MISSING, ("1",), False),
        ("LESS_THAN", "", ("1",), False),
        ("LESS_THAN", False, ("1",), False),
        ("LESS_THAN", ".5", ("1",), False),
        ("LESS_THAN", "5.", ("9",), False),
        ("LESS_THAN", "1_0", ("99",), False),
        ("LESS_THAN", "0x1", ("99",), False),
        ("LESS_THAN", "\u0661", ("99",), False),  # an Arabic digit
        ("LESS_THAN", "\u00a01", ("99",), False),
        ("LESS_THAN", "nan", ("1",), False),
        ("LESS_THAN", math.nan, ("1",), False),
        ("GREATER_THAN", math.inf, ("1",), False),
        ("GREATER_THAN", "1e999", ("1",), False),
        ("GREATER_THAN", 10**400, ("1",), False),
        ("GREATER_THAN", 5, ("one",), False),
        ("GREATER_THAN", 5, ("one", "1"), True),
        ("GREATER_THAN", 5, (), False),
        ("LESS_THAN", -5, ("1e400", "inf"), False),
    ],
)
def test_number_operators(
    operator: str, attribute: object, values: tuple[str, ...], expected: bool
) -> None:
    assert holds(operator, attribute, *values) is expected


@pytest.mark.parametrize(
    ("attribute", "is_true", "is_false"),
    [
        (True, True, False),
        (False, False, True),
        ("TRUE", True, False),
        ("False", False, True),
        (" true", False, False),
        ("1", False, False),
        (1, False, False),
        (0.0, False, False),
        (MISSING, False, False),
        (("x", "true"), True, False),
        (("TRUE", "false"), True, True),
        ((), False, False),
    ],
)
def test_boolean_operators(attribute: object, is_true: bool, is_false: bool) -> None:
    assert holds("IS_TRUE", attribute) is is_true
    assert holds("IS_FALSE", attribute, "ignored") is is_false


@pytest.mark.parametrize(
    ("operator", "attribute", "values", "expected"),
    [
        ("SEMVER_EQUAL", "v1.2", ("9.9.9", "1.2.0+build.7"), True),
        ("SEMVER_EQUAL", 2.5, ("2.5.0",), True),
        ("SEMVER_EQUAL", "1.2.3", ("1.2.4",), False),
        ("SEMVER_LESS_THAN", "1.0.0-rc.1", ("1.0.0",), True),
        ("SEMVER_LESS_THAN", "1.9.0", ("1.10.0",), True),
        ("SEMVER_LESS_OR_EQUAL", "1", ("1.0.0",), True),
        ("SEMVER_GREATER_THAN", "2.0.0", ("10.0.0", "1.9.9"), True),
        ("SEMVER_GREATER_THAN", "2.0.0", ("2.0.0",), False),
        ("SEMVER_GREATER_OR_EQUAL", ("junk", "3.0.0"), ("3",), True),
        ("SEMVER_GREATER_OR_EQUAL", MISSING, ("0.0.0",), False),
        ("SEMVER_LESS_THAN", "one", ("9.0.0",), False),
        ("SEMVER_LESS_THAN", True, ("9.0.0",), False),
        ("SEMVER_LESS_THAN", "1.0.0", ("junk",), False),
    ],
)
def test_version_operators(
    operator: str, attribute: object, values: tuple[str, ...], expected: bool
) -> None:
    assert holds(operator, attribute, *values) is expected


@pytest.mark.parametrize(
    ("operator", "attribute", "values", "expected"),
    [
        ("BEFORE", "2024-01-01T00:00:00Z", ("2024-01-01T01:00:00+01:00",), False),
        ("BEFORE", "2024-01-01T00:00:00Z", ("2024-01-01T00:59:00-00:01",), True),
        ("BEFORE", 0, ("1970-01-01T00:00:00.001Z",), True),
        ("BEFORE", "0", ("1970-01-01t00:00:00.001z",), True),
        ("AFTER", 1, ("1970-01-01T00:00:00Z",), True),
        ("AFTER", 0, ("1970-01-01T00:00:00Z",), False),
        ("AFTER", "2024-02-29T12:00:00Z", ("1709208000000",), False),
        ("AFTER", "2024-02-29T12:00:00.5Z", ("1709208000000",), True),
        ("AFTER", ("x", "2030-01-01T00:00:00Z"), ("2029-01-01T00:00:00Z",), True),
        ("AFTER", MISSING, ("1960-01-01T00:00:00Z",), False),
        ("AFTER", "2024-01-01", ("0",), False),
        ("AFTER", True, ("0",), False),
        ("BEFORE", 5, ("tomorrow",), False),
    ],
)
def test_time_operators(
    operator: str, attribute: object, values: tuple[str, ...], expected: bool
) -> None:
    assert holds(operator, attribute, *values) is expected


@pytest.mark.parametrize(
    ("attribute", "given", "expected"),
    [
        ("key", {}, "alice"),
        ("keyId", {}, "alice"),
        ("name", {}, "Alice"),
        ("key", {"key": "fake"}, "alice"),
        ("name", {"name": "fake"}, "Alice"),
        ("Key", {"Key": "own"}, "own"),
    ],
)
def test_key_and_name_are_the_contexts_own(
    attribute: str, given: dict[str, Attribute], expected: str
) -> None:
    test = compile_condition(Condition(attribute, "EQUAL", (expected,)), in_any_segment, [])
    assert test(Context("alice", "Alice", given), NO_SEGMENTS)


@pytest.mark.parametrize("operator", ["OPERATOR_99", "", "equal", "SOMETHING_NEW"])
def test_an_unknown_operator_never_holds_and_is_told(operator: str) -> None:
    faults: list[str] = []
    test = compile_condition(Condition("a", operator, ("x",)), in_any_segment, faults)
    assert not test(Context("alice", attributes={"a": "x"}), NO_SEGMENTS)
    assert faults == [f"unknown operator {operator!r}: its condition never holds"]


def test_a_pattern_that_is_refused_is_told_shortened() -> None:
    faults: list[str] = []
    compile_condition(Condition("a", "MATCHES", ("(" * 300,)), in_any_segment, faults)
    assert len(faults) == 1
    assert faults[0].startswith("RE2 refuses the pattern '((")
    assert len(faults[0]) < 140


@pytest.mark.parametrize(
    ("pattern", "valid"),
    [("^a+$", True), ("", True), (r"\d\p{Greek}", True), ("(", False), ("(?=x)", False),
     (r"(a)\1", False), ("a{1001}", False), ("\ud800", False)],
)  # fmt: skip
def test_valid_patterns_are_what_re2_accepts(
    capfd: pytest.CaptureFixture[str], pattern: str, valid: bool
) -> None:
    assert valid_pattern(pattern) is valid
    assert capfd.readouterr() == ("", "")


def test_every_operator_of_the_model_can_be_compiled() -> None:
    for operator in Operator:
        faults: list[str] = []
        compile_condition(Condition("a", operator, ("1",)), in_any_segment, faults)
        assert faults == []
