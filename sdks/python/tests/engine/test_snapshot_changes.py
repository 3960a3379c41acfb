"""Snapshots: building, applying, faults, and what a change affects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from featmesh.engine import (
    Condition,
    Context,
    ErrorKind,
    Flag,
    Prerequisite,
    Rollout,
    Rule,
    Segment,
    SegmentRule,
    Share,
    Snapshot,
    ValueType,
    Variation,
    evaluate,
    find_prerequisite_cycle,
    find_segment_cycle,
)
from featmesh.engine.dependencies import on_cycles

ON = Rollout((Share("on", 100_000),))
ALICE = Context("alice")


def flag(key: str, *, needs: tuple[str, ...] = (), segments: tuple[str, ...] = ()) -> Flag:
    in_segments = Condition("", "IN_SEGMENT", segments)
    return Flag(
        key=key,
        value_type=ValueType.BOOLEAN,
        variations=(Variation("on", "", True), Variation("off", "", False)),
        off_variation_id="off",
        fallthrough=ON,
        enabled=True,
        prerequisites=tuple(Prerequisite(each, "on") for each in needs),
        rules=(Rule("r", "", (in_segments,), ON),) if segments else (),
    )


def segment(segment_id: str, *nested: str) -> Segment:
    condition = Condition("", "NOT_IN_SEGMENT", nested)
    rules = (SegmentRule("r", "", (condition,)),) if nested else ()
    return Segment(id=segment_id, key=f"key-{segment_id}", rules=rules)


def test_an_empty_snapshot_is_at_revision_zero() -> None:
    snapshot = Snapshot.empty()
    assert (snapshot.revision, dict(snapshot.flags), dict(snapshot.segments)) == (0, {}, {})
    assert snapshot.faults == ()
    assert snapshot.live_flag_keys() == []


def test_archived_items_are_held_but_not_live() -> None:
    archived = replace(flag("b"), archived=True)
    snapshot = Snapshot.build(3, [flag("c"), archived, flag("a")], [segment("s")])
    assert snapshot.revision == 3
    assert sorted(snapshot.flags) == ["a", "b", "c"]
    assert snapshot.flags["b"] is archived
    assert snapshot.segments["s"].key == "key-s"
    assert snapshot.live_flag_keys() == ["a", "c"]
    assert repr(snapshot) == "Snapshot(revision=3, flags=3, segments=1)"


def test_the_mappings_cannot_be_changed() -> None:
    snapshot = Snapshot.build(1, [flag("a")], [segment("s")])
    with pytest.raises(TypeError):
        snapshot.flags["b"] = flag("b")  # type: ignore[index]  # what is proved
    with pytest.raises(TypeError):
        del snapshot.segments["s"]  # type: ignore[attr-defined]  # what is proved


def test_applying_a_change_leaves_the_snapshot_before_it_alone() -> None:
    before = Snapshot.build(1, [flag("a"), flag("b")], [segment("s")])
    after = before.apply(
        2,
        flags=[replace(flag("a"), enabled=False), flag("c")],
        segments=[segment("t")],
        deleted_flag_keys=["b", "never-there"],
        deleted_segment_ids=["s"],
    )
    assert evaluate(before, "a", ALICE, 0).value is True
    assert sorted(before.flags) == ["a", "b"]
    assert evaluate(after, "a", ALICE, 0).value is False
    assert evaluate(after, "b", ALICE, 0).error_kind is ErrorKind.FLAG_NOT_FOUND
    assert (sorted(after.flags), sorted(after.segments)) == (["a", "c"], ["t"])
    assert (before.revision, after.revision) == (1, 2)


def test_only_the_given_items_are_compiled_again() -> None:
    before = Snapshot.build(1, [flag("a"), flag("b")], [segment("s")])
    after = before.apply(2, flags=[flag("b")])
    assert after.live_flags["a"] is before.live_flags["a"]
    assert after.live_flags["b"] is not before.live_flags["b"]
    assert after.live_segments["s"] is before.live_segments["s"]


def test_a_flag_that_is_archived_is_gone_at_once_and_can_come_back() -> None:
    before = Snapshot.build(1, [flag("a", needs=("a",))], [])
    gone = before.apply(2, flags=[replace(flag("a"), archived=True)])
    assert evaluate(gone, "a", ALICE, 0).error_kind is ErrorKind.FLAG_NOT_FOUND
    assert gone.faults == ()
    assert evaluate(gone.apply(3, flags=[flag("a")]), "a", ALICE, 0).value is True


def test_a_cycle_that_a_change_closes_or_opens_is_noticed() -> None:
    chain = Snapshot.build(1, [flag("a", needs=("b",)), flag("b")], [])
    closed = chain.apply(2, flags=[flag("b", needs=("a",))])
    assert evaluate(closed, "a", ALICE, 0).error_kind is ErrorKind.MALFORMED_FLAG
    assert closed.faults == (
        "flag 'a': its prerequisites lead back to itself",
        "flag 'b': its prerequisites lead back to itself",
    )
    assert evaluate(closed.apply(3, flags=[flag("b")]), "a", ALICE, 0).value is True
    opened = closed.apply(3, deleted_flag_keys=["b"])
    assert evaluate(opened, "a", ALICE, 0).error_kind is None


# --- faults -------------------------------------------------------------------------------


def test_faults_are_told_as_sentences_and_go_with_their_cause() -> None:
    conditions = (Condition("a", "MATCHES", ("(",)), Condition("a", "OPERATOR_77", ()))
    odd = replace(flag("odd"), rules=(Rule("r", "", conditions, ON),), off_variation_id="x")
    odd_segment = Segment("s", "s", rules=(SegmentRule("r", "", conditions[:1]),))
    snapshot = Snapshot.build(1, [odd, flag("fine")], [odd_segment])
    assert snapshot.faults == (
        "flag 'odd': no usable variation 'x' for OFF",
        "flag 'odd': RE2 refuses the pattern '(': it never matches",
        "flag 'odd': unknown operator 'OPERATOR_77': its condition never holds",
        "segment 's': RE2 refuses the pattern '(': it never matches",
    )
    healed = snapshot.apply(2, flags=[flag("odd")], deleted_segment_ids=["s"])
    assert healed.faults == ()


def test_faults_are_bounded() -> None:
    odd = [replace(flag(f"f{n}"), off_variation_id="x") for n in range(150)]
    assert len(Snapshot.build(1, odd, []).faults) == 100


def test_a_segment_that_cannot_be_compiled_is_a_fault_and_has_no_members() -> None:
    broken = replace(segment("s"), rules=None)  # type: ignore[arg-type]  # what may go wrong
    snapshot = Snapshot.build(1, [flag("a", segments=("s",))], [broken])
    assert snapshot.faults == ("segment 's': it cannot be compiled and has no members",)
    assert evaluate(snapshot, "a", ALICE, 0).value is True


# --- what a change affects ----------------------------------------------------------------

GRAPH = Snapshot.build(
    1,
    [
        flag("plain"),
        flag("needs-plain", needs=("plain",)),
        flag("needs-needs", needs=("needs-plain",)),
        flag("in-outer", segments=("outer",)),
        flag("needs-in-outer", needs=("in-outer",)),
        flag("in-lone", segments=("lone",)),
        replace(flag("archived", needs=("plain",), segments=("inner",)), archived=True),
    ],
    [segment("outer", "middle"), segment("middle", "inner"), segment("inner"), segment("lone")],
)


@pytest.mark.parametrize(
    ("flags", "segments", "affected"),
    [
        ((), (), set()),
        (("plain",), (), {"plain", "needs-plain", "needs-needs"}),
        (("needs-needs",), (), {"needs-needs"}),
        ((), ("inner",), {"in-outer", "needs-in-outer"}),
        ((), ("outer", "lone"), {"in-outer", "needs-in-outer", "in-lone"}),
        (("deleted",), ("unknown",), {"deleted"}),
        (("archived",), (), {"archived"}),
    ],
)
def test_what_a_change_affects(
    flags: tuple[str, ...], segments: tuple[str, ...], affected: set[str]
) -> None:
    assert GRAPH.affected_by(flags, segments) == affected


def test_cycles_do_not_stop_the_search_for_affected_flags() -> None:
    flags = [flag("a", needs=("b",), segments=("s",)), flag("b", needs=("a",))]
    snapshot = Snapshot.build(1, flags, [segment("s", "t"), segment("t", "s")])
    assert snapshot.affected_by((), ("t",)) == {"a", "b"}


# --- cycles -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needs", "cycle"),
    [
        ({"a": ("b",), "b": ("c",), "c": ()}, None),
        ({"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}, None),
        ({"a": ("missing",)}, None),
        ({"a": ("a",)}, ("a", "a")),
        ({"x": ("a",), "a": ("b",), "b": ("c",), "c": ("a",)}, ("a", "b", "c", "a")),
        ({"a": ("b", "c"), "b": (), "c": ("a",)}, ("a", "c", "a")),
    ],
)
def test_the_path_of_a_cycle(
    needs: dict[str, tuple[str, ...]], cycle: tuple[str, ...] | None
) -> None:
    assert find_prerequisite_cycle(flag(key, needs=each) for key, each in needs.items()) == cycle
    assert find_segment_cycle(segment(key, *each) for key, each in needs.items()) == cycle
    assert on_cycles(needs) == frozenset(cycle or ())


def test_a_cycle_of_thousands_is_found() -> None:
    ring = [flag(f"f{n}", needs=(f"f{(n + 1) % 5000}",)) for n in range(5000)]
    cycle = find_prerequisite_cycle(ring)
    assert cycle is not None
    assert len(cycle) == 5001
    assert len(Snapshot.build(1, ring, []).cyclic_flag_keys) == 5000
