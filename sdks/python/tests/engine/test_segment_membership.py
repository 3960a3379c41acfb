"""Segments: lists, rules, segments in segments, and cycles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from featmesh.engine import Condition, Context, Segment, SegmentRule, Snapshot
from featmesh.engine.membership import in_any_segment, is_member
from featmesh.engine.operators import compile_condition


def segment(segment_id: str, *conditions: Condition, **changes: object) -> Segment:
    rules = (SegmentRule("r", "", conditions),) if conditions else ()
    base = Segment(id=segment_id, key=segment_id, rules=rules)
    return replace(base, **changes)  # type: ignore[arg-type]  # names are checked by replace


def inside(*segment_ids: str) -> Condition:
    return Condition("", "IN_SEGMENT", segment_ids)


def outside(*segment_ids: str) -> Condition:
    return Condition("", "NOT_IN_SEGMENT", segment_ids)


FRENCH = Condition("country", "EQUAL", ("fr",))
ALICE = Context("alice", attributes={"country": "fr"})


def member(*segments: Segment, of: str = "s", context: Context = ALICE) -> bool:
    return is_member(Snapshot.build(1, (), segments).live_segments, of, context)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (segment("s", included=("alice",)), True),
        (segment("s", included=("bob",)), False),
        (segment("s", included=("alice",), excluded=("alice",)), False),
        (segment("s", FRENCH), True),
        (segment("s", FRENCH, excluded=("alice",)), False),
        (segment("s", Condition("country", "EQUAL", ("de",))), False),
        (segment("s", FRENCH, Condition("country", "EQUAL", ("de",))), False),
        (segment("s", rules=(SegmentRule("r", "", ()),)), True),
        (segment("s", FRENCH, archived=True), False),
        (segment("other", FRENCH), False),
        (segment("s"), False),
    ],
)
def test_membership(subject: Segment, expected: bool) -> None:
    assert member(subject) is expected


def test_one_rule_that_holds_is_enough() -> None:
    rules = (
        SegmentRule("r1", "", (Condition("country", "EQUAL", ("de",)),)),
        SegmentRule("r2", "", (FRENCH,)),
    )
    assert member(segment("s", rules=rules))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (inside("inner"), True),
        (inside("missing", "inner"), True),
        (inside("missing"), False),
        (inside("gone"), False),
        (inside(), False),
        (outside("inner"), False),
        (outside("missing"), True),
        (outside("missing", "inner"), False),
        (outside("gone"), True),
    ],
)
def test_a_segment_may_name_segments(rule: Condition, expected: bool) -> None:
    others = (segment("inner", FRENCH), segment("gone", FRENCH, archived=True))
    assert member(segment("s", rule), *others) is expected


def test_a_list_of_a_nested_segment_is_stronger_than_its_rules() -> None:
    inner = segment("inner", inside("deep"), excluded=("alice",))
    assert not member(segment("s", inside("inner")), inner, segment("deep", FRENCH))


@pytest.mark.parametrize("of", ["a", "b", "self"])
def test_a_cycle_never_matches(of: str) -> None:
    cycle = (
        segment("a", inside("b")),
        segment("b", inside("a")),
        segment("self", inside("self")),
    )
    assert not member(*cycle, of=of)


def test_what_matches_beside_a_cycle_still_matches() -> None:
    assert member(segment("s", inside("b")), segment("b", inside("s"), included=("alice",)))
    assert member(segment("s", outside("b")), segment("b", inside("s")))


@pytest.mark.parametrize("first", ["a", "b"])
def test_whom_a_cycle_holds_does_not_depend_on_the_segment_that_is_asked_first(
    first: str,
) -> None:
    """`b` has no rule but the one that leads round, so only its lists make members."""
    rules = (SegmentRule("r1", "", (inside("b"),)), SegmentRule("r2", "", (FRENCH,)))
    cycle = (segment("a", rules=rules), segment("b", inside("a")))
    asking = segment("s", inside(first), inside("b"))
    assert member(*cycle, of="a")
    assert not member(*cycle, of="b")
    assert not member(*cycle, asking)
    assert member(segment("s", inside(first), outside("b")), *cycle) is (first == "a")


def test_a_cycle_that_a_change_opens_matches_again() -> None:
    closed = Snapshot.build(1, (), (segment("a", inside("b")), segment("b", inside("a"))))
    opened = closed.apply(2, segments=(segment("b", FRENCH),))
    assert not is_member(closed.live_segments, "a", ALICE)
    assert is_member(opened.live_segments, "a", ALICE)


def test_a_segment_on_a_cycle_that_is_sent_again_unchanged_stays_on_it() -> None:
    cycle = (segment("a", inside("b")), segment("b", outside("a")))
    closed = Snapshot.build(1, (), cycle)
    again = closed.apply(2, segments=cycle[:1])
    assert [closed.live_segments[each].looping for each in "ab"] == [{"b"}, {"a"}]
    assert [again.live_segments[each].looping for each in "ab"] == [{"b"}, {"a"}]


def test_a_chain_of_thousands_of_segments_is_followed_to_its_end() -> None:
    chain = [segment(f"s{n}", inside(f"s{n + 1}")) for n in range(5000)]
    assert member(*chain, segment("s5000", FRENCH), of="s0")
    assert not member(*chain, segment("s5000"), of="s0")


def test_segments_that_all_name_each_other_are_answered_in_linear_time() -> None:
    ids = [f"s{n}" for n in range(40)]
    tangle = [segment(each, *(inside(other) for other in ids)) for each in ids]
    assert not member(*tangle, of="s0")


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("IN_SEGMENT", ("x", "s"), True),
        ("IN_SEGMENT", ("x",), False),
        ("NOT_IN_SEGMENT", ("x", "s"), False),
        ("NOT_IN_SEGMENT", ("x",), True),
        ("NOT_IN_SEGMENT", (), True),
    ],
)
def test_the_operators_of_a_flags_rule(
    operator: str, values: tuple[str, ...], expected: bool
) -> None:
    segments = Snapshot.build(1, (), [segment("s", FRENCH)]).live_segments
    test = compile_condition(Condition("ignored", operator, values), in_any_segment, [])
    assert test(ALICE, segments) is expected
