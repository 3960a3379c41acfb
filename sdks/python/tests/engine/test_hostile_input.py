"""Nothing that a caller passes makes an evaluation raise, and each has a documented answer."""

from __future__ import annotations

import math
from typing import Any

import pytest

from featmesh.engine import (
    Condition,
    Context,
    ErrorKind,
    Flag,
    Operator,
    Reason,
    Rollout,
    Rule,
    Share,
    Snapshot,
    ValueType,
    Variation,
    evaluate,
    evaluate_all,
)

MEGABYTE = 1 << 20


def _deep_list(depth: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


def _endless_list() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


class Unfriendly:
    """Says no to everything that is asked of it."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError


HOSTILE = [
    math.nan,
    math.inf,
    -math.inf,
    10**5000,
    -(10**5000),
    "x" * MEGABYTE,
    "9" * MEGABYTE,
    " " * MEGABYTE,
    "1." * (MEGABYTE // 2),
    "1.0.0-" + "a." * (MEGABYTE // 2),
    "2024-01-01T00:00:00." + "0" * MEGABYTE,
    "\ud800",
    "\x00",
    _deep_list(10_000),
    _endless_list(),
    [None, 1, True, b"x", {}, "\udfff"],
    (math.nan, 10**5000),
    b"bytes",
    {"a": "dictionary"},
    None,
    object(),
    Unfriendly(),
]
VALUES = ("", "1", "true", "1.0.0", "2024-01-01T00:00:00Z", "(x+x+)+y", "(", "\ud800", "s" * 4096)


def flag(operator: str) -> Flag:
    served = {each: Rollout((Share(each, 100_000),)) for each in ("yes", "no")}
    condition = Condition("a", operator, VALUES)
    return Flag(
        key=operator,
        value_type=ValueType.STRING,
        variations=(Variation("yes", "", "yes"), Variation("no", "", "no")),
        off_variation_id="no",
        fallthrough=served["no"],
        rules=(Rule("r", "", (condition,), served["yes"]),),
        enabled=True,
    )


SNAPSHOT = Snapshot.build(1, [flag(each) for each in (*Operator, "OPERATOR_99")], ())


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_no_attribute_makes_an_evaluation_fail(value: Any) -> None:
    context = Context("alice", attributes={"a": value})
    for result in evaluate_all(SNAPSHOT, context, 0).values():
        assert result.error_kind is None
        assert result.reason in {Reason.RULE_MATCH, Reason.FALLTHROUGH}


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_no_dispatch_attribute_makes_a_rollout_fail(value: Any) -> None:
    halves = Rollout((Share("yes", 50_000), Share("no", 50_000)), dispatch_attribute="a")
    spread = Flag(
        key="f",
        value_type=ValueType.STRING,
        variations=(Variation("yes", "", "yes"), Variation("no", "", "no")),
        off_variation_id="no",
        fallthrough=halves,
        enabled=True,
    )
    snapshot = Snapshot.build(1, [spread], ())
    result = evaluate(snapshot, "f", Context("alice", attributes={"a": value}), 0)
    assert result.reason is Reason.FALLTHROUGH
    assert result.bucketed


@pytest.mark.parametrize(
    "key",
    ["", "x" * 513, "x" * MEGABYTE, "\ud800", None, 7, b"alice", Unfriendly(), _endless_list()],
    ids=range(9),
)
def test_a_key_that_is_none_is_an_invalid_context(key: Any) -> None:
    result = evaluate(SNAPSHOT, "EQUAL", Context(key), 0)
    assert result.error_kind is ErrorKind.INVALID_CONTEXT


@pytest.mark.parametrize("attributes", [None, 7, "text", [], Unfriendly()], ids=range(5))
def test_attributes_that_are_no_mapping_are_a_general_error_where_they_are_read(
    attributes: Any,
) -> None:
    context = Context("alice", attributes=attributes)
    assert evaluate(SNAPSHOT, "EQUAL", context, 0).error_kind is ErrorKind.GENERAL
    assert evaluate(SNAPSHOT, "IN_SEGMENT", context, 0).error_kind is None
    assert evaluate_all(SNAPSHOT, context, 0)["EQUAL"].error_kind is ErrorKind.GENERAL
