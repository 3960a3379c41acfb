"""What holds for every input."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featmesh.engine import (
    Condition,
    Context,
    ErrorKind,
    Flag,
    Operator,
    Prerequisite,
    Reason,
    Rollout,
    Rule,
    Segment,
    SegmentRule,
    Share,
    Snapshot,
    Target,
    ValueType,
    Variation,
    evaluate,
    evaluate_all,
    explain,
)
from featmesh.engine.dependencies import find_cycle, on_cycles
from featmesh.engine.evaluate import READS_CLOCK
from featmesh.engine.membership import in_any_segment
from featmesh.engine.operators import compile_condition

pytestmark = pytest.mark.long(15)

# A few names for everything, so that items often refer to one another.
NAMES = st.sampled_from(["a", "b", "c", "d", ""])
TEXTS = st.one_of(
    NAMES,
    st.text(max_size=8),
    st.sampled_from(["1", " 2.5 ", "1.2.3", "v1-rc.1", "TRUE", "2024-01-01T00:00:00Z", "(", "a|b"]),
)
ATTRIBUTES = st.one_of(
    TEXTS,
    st.booleans(),
    st.floats(),
    st.integers(),
    st.lists(TEXTS, max_size=3).map(tuple),
    st.none(),
    st.lists(st.one_of(st.none(), st.integers()), max_size=2),
)
CONTEXTS = st.builds(
    Context, st.one_of(NAMES, st.text()), TEXTS, st.dictionaries(NAMES, ATTRIBUTES, max_size=4)
)
CONDITIONS = st.builds(
    Condition,
    NAMES,
    st.one_of(st.sampled_from([str(each) for each in Operator]), st.just("OPERATOR_99")),
    st.lists(TEXTS, max_size=3).map(tuple),
)
CONDITION_LISTS = st.lists(CONDITIONS, max_size=3).map(tuple)
WEIGHTS = st.sampled_from([0, 1, 10_000, 50_000, 100_000, -5, 200_000])
ROLLOUTS = st.builds(
    Rollout,
    st.lists(st.builds(Share, NAMES, WEIGHTS, WEIGHTS), max_size=3).map(tuple),
    NAMES,
    st.booleans(),
)
VALUES = st.one_of(st.booleans(), st.floats(), st.text(max_size=3))
FLAGS = st.builds(
    Flag,
    key=NAMES,
    value_type=st.sampled_from(ValueType),
    variations=st.lists(st.builds(Variation, NAMES, NAMES, VALUES), max_size=3).map(tuple),
    off_variation_id=NAMES,
    fallthrough=ROLLOUTS,
    enabled=st.booleans() | st.just(True),
    salt=NAMES,
    prerequisites=st.lists(st.builds(Prerequisite, NAMES, NAMES), max_size=2).map(tuple),
    targets=st.lists(
        st.builds(Target, NAMES, st.lists(NAMES, max_size=2).map(tuple)), max_size=2
    ).map(tuple),
    rules=st.lists(st.builds(Rule, NAMES, NAMES, CONDITION_LISTS, ROLLOUTS), max_size=2).map(tuple),
    include_all_targets=st.booleans(),
    archived=st.booleans(),
    revision=st.integers(0, 9),
)
SEGMENTS = st.builds(
    Segment,
    id=NAMES,
    key=NAMES,
    included=st.lists(NAMES, max_size=2).map(tuple),
    excluded=st.lists(NAMES, max_size=2).map(tuple),
    rules=st.lists(st.builds(SegmentRule, NAMES, NAMES, CONDITION_LISTS), max_size=2).map(tuple),
    archived=st.booleans(),
)
FLAG_LISTS = st.lists(FLAGS, max_size=4)
SEGMENT_LISTS = st.lists(SEGMENTS, max_size=3)


@settings(max_examples=150, deadline=None)
@given(FLAG_LISTS, SEGMENT_LISTS, CONTEXTS)
def test_every_input_gets_a_sound_answer(
    flags: list[Flag], segments: list[Segment], context: Context
) -> None:
    snapshot = Snapshot.build(1, flags, segments)
    results = evaluate_all(snapshot, context, 0)
    assert list(results) == snapshot.live_flag_keys()
    for key, result in results.items():
        assert result == evaluate(snapshot, key, context, 0)
        assert result.error_kind is not ErrorKind.GENERAL
        assert (result.value is None) == (result.reason is Reason.ERROR)
        assert (result.error_kind is None) == (result.value is not None)
        assert (result.rule_id, result.rule_name) == ("", "") or result.reason is Reason.RULE_MATCH
        if result.value is not None:
            ids = [each.id for each in snapshot.flags[key].variations]
            assert result.variation_id in ids


@settings(max_examples=100, deadline=None)
@given(FLAG_LISTS, SEGMENT_LISTS, FLAG_LISTS, SEGMENT_LISTS, st.sets(NAMES), CONTEXTS)
def test_applying_a_change_is_building_anew(
    flags: list[Flag],
    segments: list[Segment],
    more_flags: list[Flag],
    more_segments: list[Segment],
    deleted: set[str],
    context: Context,
) -> None:
    applied = Snapshot.build(1, flags, segments).apply(
        2,
        flags=more_flags,
        segments=more_segments,
        deleted_flag_keys=deleted,
        deleted_segment_ids=deleted,
    )
    kept = {each.key: each for each in flags if each.key not in deleted}
    kept |= {each.key: each for each in more_flags}
    kept_segments = {each.id: each for each in segments if each.id not in deleted}
    kept_segments |= {each.id: each for each in more_segments}
    built = Snapshot.build(2, kept.values(), kept_segments.values())
    assert applied.flags == built.flags
    assert applied.segments == built.segments
    assert applied.faults == built.faults
    assert applied.cyclic_flag_keys == built.cyclic_flag_keys
    assert evaluate_all(applied, context, 0) == evaluate_all(built, context, 0)


@settings(max_examples=100, deadline=None)
@given(FLAG_LISTS, SEGMENT_LISTS, FLAG_LISTS, SEGMENT_LISTS, CONTEXTS)
def test_only_affected_flags_ever_change_their_result(
    flags: list[Flag],
    segments: list[Segment],
    more_flags: list[Flag],
    more_segments: list[Segment],
    context: Context,
) -> None:
    before = Snapshot.build(1, flags, segments)
    after = before.apply(2, flags=more_flags, segments=more_segments)
    affected = after.affected_by(
        {each.key for each in more_flags}, {each.id for each in more_segments}
    )
    old, new = evaluate_all(before, context, 0), evaluate_all(after, context, 0)
    assert {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)} <= affected


@pytest.mark.parametrize(
    ("negative", "positive"),
    [(each, each.removeprefix("NOT_")) for each in Operator if each.startswith("NOT_")],
)
@settings(max_examples=60, deadline=None)
@given(CONDITIONS, CONTEXTS, SEGMENT_LISTS)
def test_a_negative_operator_is_the_exact_negation_of_its_positive_one(
    negative: str, positive: str, condition: Condition, context: Context, segments: list[Segment]
) -> None:
    live = Snapshot.build(1, (), segments).live_segments
    yes = compile_condition(replace(condition, operator=positive), in_any_segment, [])
    no = compile_condition(replace(condition, operator=negative), in_any_segment, [])
    assert no(context, live) is not yes(context, live)


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=5))
def test_the_two_ways_to_look_for_cycles_agree(graph: dict[str, list[str]]) -> None:
    cycle = find_cycle(graph)
    nodes = on_cycles(graph)
    assert (cycle is None) == (not nodes)
    if cycle is not None:
        assert nodes.issuperset(cycle)
        assert all(after in graph[before] for before, after in pairwise(cycle))


@settings(max_examples=100, deadline=None)
@given(FLAG_LISTS, SEGMENT_LISTS, CONTEXTS, st.integers(0, 2**53))
def test_the_clock_changes_a_result_only_if_the_engine_says_that_it_reads_it(
    flags: list[Flag], segments: list[Segment], context: Context, now_ms: int
) -> None:
    snapshot = Snapshot.build(1, flags, segments)
    if not READS_CLOCK:
        assert evaluate_all(snapshot, context, 0) == evaluate_all(snapshot, context, now_ms)


@settings(max_examples=150, deadline=None)
@given(FLAG_LISTS, SEGMENT_LISTS, CONTEXTS)
def test_an_explanation_agrees_with_the_result_at_every_step(
    flags: list[Flag], segments: list[Segment], context: Context
) -> None:
    snapshot = Snapshot.build(1, flags, segments)
    for key in snapshot.live_flag_keys():
        explanation = explain(snapshot, key, context, 0)
        result = explanation.result
        assert result == evaluate(snapshot, key, context, 0)
        assert explanation.why != "the steps of this result cannot be shown"
        failed = [each for each in explanation.prerequisites if not each.holds]
        if result.error_kind is not None:
            continue
        assert bool(failed) == (result.reason is Reason.PREREQUISITE_FAILED)
        assert any(each.holds for each in explanation.targets) == (
            result.reason is Reason.TARGET_MATCH
        )
        held = [each.rule_id for each in explanation.rules if each.holds]
        assert held == ([result.rule_id] if result.reason is Reason.RULE_MATCH else [])
        if explanation.rollout is not None:
            served = [each for each in explanation.rollout.shares if each.served]
            assert [each.variation_id for each in served] == [result.variation_id]
            assert result.bucketed == (explanation.rollout.bucket is not None)
