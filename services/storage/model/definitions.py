"""What `evaluation` reads of an environment."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

    def above(self, revision: int) -> Definitions:
        """The same without what is not newer than this revision."""
        return replace(
            self,
            flags=tuple(each for each in self.flags if each.revision > revision),
            segments=tuple(each for each in self.segments if each.revision > revision),
            deleted_flags=tuple(each for each in self.deleted_flags if each.revision > revision),
            deleted_segments=tuple(
                each for each in self.deleted_segments if each.revision > revision
            ),
        )
