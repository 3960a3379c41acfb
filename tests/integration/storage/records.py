"""Flags, segments and changes that the tests of the store write."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from featmesh.engine.model import (
    Condition,
    Flag,
    Prerequisite,
    Rollout,
    Rule,
    Segment,
    SegmentRule,
    Share,
    Target,
    ValueType,
    Variation,
)
from services.storage.model.changes import Change, Write
from services.storage.model.items import FlagRecord, ItemMeta, Record, SegmentRecord

NOON = datetime(2026, 7, 1, 12, 0, 0, 123_000, tzinfo=UTC)


def meta(*tags: str) -> ItemMeta:
    """What operators see of an item."""
    return ItemMeta("A name", "A description", tags, NOON, "ada", NOON, "ada")


def flag(key: str, *tags: str, **fields: Any) -> FlagRecord:
    """A boolean flag that is not yet stored."""
    plain = Flag(
        key=key,
        value_type=ValueType.BOOLEAN,
        variations=(Variation("on", "On", True), Variation("off", "Off", False)),
        off_variation_id="off",
        fallthrough=Rollout((Share("on", 100_000),)),
        enabled=True,
    )
    return FlagRecord(replace(plain, **fields), meta(*tags))


def segment(segment_id: str, key: str, *tags: str, **fields: Any) -> SegmentRecord:
    """A segment that is not yet stored."""
    return SegmentRecord(replace(Segment(segment_id, key, ("ada",)), **fields), meta(*tags))


def full_flag() -> FlagRecord:
    """A flag that uses every field."""
    rollout = Rollout((Share("a", 60_000, 10_000), Share("b", 40_000, 0)), "country", True)
    condition = Condition("country", "IN", ("DE", "$set", "a.b"))
    return flag(
        "full",
        "beta",
        "shop",
        value_type=ValueType.NUMBER,
        variations=(Variation("a", "A", 1.0), Variation("b", "B", -0.5)),
        off_variation_id="b",
        fallthrough=rollout,
        salt="salt",
        prerequisites=(Prerequisite("other", "on"),),
        targets=(Target("a", ("ada", "grace")),),
        rules=(Rule("r1", "Rule", (condition, Condition("x", "FROM_THE_FUTURE")), rollout),),
        include_all_targets=True,
        archived=True,
    )


def full_segment() -> SegmentRecord:
    """A segment that uses every field."""
    rule = SegmentRule("r1", "Rule", (Condition("plan", "EQUAL", ("pro",)),))
    return segment(
        "s-1", "full", "beta", included=("ada",), excluded=("bob",), rules=(rule,), archived=True
    )


def create(*records: Record) -> tuple[Write, ...]:
    """Writes that create."""
    return tuple(Write("create", None, record) for record in records)


def update(before: Record | None, **fields: Any) -> Write:
    """A write that changes fields of what is stored."""
    assert before is not None
    if isinstance(before, FlagRecord):
        return Write("update", before, replace(before, item=replace(before.item, **fields)))
    return Write("update", before, replace(before, item=replace(before.item, **fields)))


def delete(before: Record | None) -> Write:
    """A write that deletes what is stored."""
    return Write("delete", before, None)


def change(environment_id: str, *writes: Write, **fields: Any) -> Change:
    """A change by Ada."""
    return Change(environment_id, "ada", writes, **fields)
