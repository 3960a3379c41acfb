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
from services.storage.model.changes import AnyItemChange, Change, ItemChange
from services.storage.model.items import FlagRecord, SegmentRecord
from services.storage.model.kinds import FLAG, SEGMENT
from services.storage.model.resource import AnyKind, AnyStored
from tests.support.resources import ADA

NOON = datetime(2026, 7, 1, 12, 0, 0, 123_000, tzinfo=UTC)


Record = FlagRecord | SegmentRecord


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
    return FlagRecord(replace(plain, **fields), "A name", "A description", tags)


def segment(segment_id: str, key: str, *tags: str, **fields: Any) -> SegmentRecord:
    """A segment that is not yet stored."""
    plain = Segment(segment_id, key, ("ada",))
    return SegmentRecord(replace(plain, **fields), "A name", "A description", tags)


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


def create(*records: Record) -> tuple[AnyItemChange, ...]:
    """Items that create."""
    return tuple(ItemChange(kind_of(record), "create", None, record) for record in records)


def kind_of(record: Record) -> AnyKind:
    """The kind of a flag or a segment."""
    return FLAG if isinstance(record, FlagRecord) else SEGMENT


def update(before: AnyStored | None, **fields: Any) -> AnyItemChange:
    """An item that changes fields of a definition that is stored."""
    assert before is not None
    definition = replace(before.content.definition, **fields)
    after = replace(before.content, definition=definition)
    return ItemChange(before.kind, "update", before, after)


def delete(before: AnyStored | None) -> AnyItemChange:
    """An item that deletes what is stored."""
    assert before is not None
    return ItemChange(before.kind, "delete", before, None)


def change(environment_id: str, *items: AnyItemChange, **fields: Any) -> Change:
    """A change by Ada."""
    return Change(environment_id, ADA, items, **fields)
