"""Flags and segments as operators see them. All times are timezone-aware UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from featmesh.engine.model import Flag, Segment


@dataclass(frozen=True, slots=True)
class ItemMeta:
    """What only operators see of a flag or segment."""

    name: str
    description: str
    tags: tuple[str, ...]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """A flag as stored."""

    item: Flag
    meta: ItemMeta


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A segment as stored."""

    item: Segment
    meta: ItemMeta


Record = FlagRecord | SegmentRecord


R = TypeVar("R", FlagRecord, SegmentRecord)


@dataclass(frozen=True, slots=True)
class ItemVersion(Generic[R]):
    """A flag or segment as it once was; ``record`` is None where it was deleted."""

    version: int
    revision: int
    record: R | None
