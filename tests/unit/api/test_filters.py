from __future__ import annotations

import pytest

from services.api.rpc.filters import TERMS, parse_filter, parse_order
from services.runtime.errors import InvalidArgument
from services.storage.model.kinds import FLAG
from services.storage.model.queries import (
    And,
    Contains,
    Equals,
    HasTag,
    Not,
    Or,
    OrderBy,
    Predicate,
    StartsWith,
)


def parsed(text: str) -> Predicate | None:
    return parse_filter(text, FLAG, has_tags=True)


@pytest.mark.parametrize(
    ("text", "predicate"),
    [
        ("", None),
        ("   ", None),
        ("key = checkout", Equals("key", "checkout")),
        ('display_name = "New search"', Equals("display_name", "New search")),
        ('description = "a \\"b\\" c"', Equals("description", 'a "b" c')),
        ("key != checkout", Not(Equals("key", "checkout"))),
        ("display_name:search", Contains("display_name", "search")),
        ("key:new-*", StartsWith("key", "new-")),
        ("enabled = true", Equals("enabled", True)),
        ("enabled != false", Not(Equals("enabled", False))),
        ("tags:checkout", HasTag("checkout")),
        ("NOT tags:checkout", Not(HasTag("checkout"))),
        (
            "tags:a AND enabled = true",
            And((HasTag("a"), Equals("enabled", True))),
        ),
        ("tags:a tags:b", And((HasTag("a"), HasTag("b")))),
        (
            "tags:a OR tags:b AND tags:c",
            Or((HasTag("a"), And((HasTag("b"), HasTag("c"))))),
        ),
        (
            "(tags:a OR tags:b) AND tags:c",
            And((Or((HasTag("a"), HasTag("b"))), HasTag("c"))),
        ),
    ],
)
def test_a_filter_says_what_it_reads_like(text: str, predicate: Predicate | None) -> None:
    assert parsed(text) == predicate


@pytest.mark.parametrize(
    ("text", "position", "complaint"),
    [
        ("colour = red", 1, "may name key, display_name"),
        ("key = ", 6, "needs a value"),
        ("key", 4, "needs"),
        ("key > 3", 5, "needs"),
        ("enabled = maybe", 11, "say true or false"),
        ("enabled : true", 9, "needs"),
        ("tags = a", 6, "needs :"),
        ("(tags:a", 8, "closing parenthesis"),
        ("tags:a )", 8, "not expected"),
        ("tags:a AND", 11, "needs the name of a field"),
        ('key = "open', 7, "not expected"),
        (" ".join(["tags:a"] * (TERMS + 1)), 351, f"more than {TERMS}"),
    ],
)
def test_a_fault_is_told_with_its_position(text: str, position: int, complaint: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parsed(text)
    (violation,) = refused.value.violations
    assert violation.field == "filter"
    assert violation.description.startswith(f"at character {position}: ")
    assert complaint in violation.description


def test_nesting_is_bounded() -> None:
    with pytest.raises(InvalidArgument, match="more than"):
        parsed("(" * 1_000 + "tags:a" + ")" * 1_000)


def test_an_order_names_a_field_and_a_direction() -> None:
    assert parse_order("") == (OrderBy.KEY, False)
    assert parse_order("updated_at desc") == (OrderBy.UPDATED_AT, True)
    assert parse_order(" display_name asc ") == (OrderBy.DISPLAY_NAME, False)
    with pytest.raises(InvalidArgument, match="order_by: names 'colour'"):
        parse_order("colour")
    with pytest.raises(InvalidArgument, match="say asc or desc"):
        parse_order("key upwards")
