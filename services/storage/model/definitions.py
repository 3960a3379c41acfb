"""What `evaluation` reads of an environment."""

from __future__ import annotations

from dataclasses import dataclass

from featmesh.engine.model import Flag, Segment


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deleted flag (by key) or segment (by id)."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class Definitions:
    """Flags, segments and tombstones of one environment at one point in time.

    From `read_definitions`: everything. From `read_changes`: only what has a revision
    above ``since``. Archived items are included; tombstones older than ``floor`` are not.
    """

    environment_id: str
    revision: int
    floor: int
    flags: tuple[Flag, ...]
    segments: tuple[Segment, ...]
    deleted_flags: tuple[Tombstone, ...] = ()
    deleted_segments: tuple[Tombstone, ...] = ()
