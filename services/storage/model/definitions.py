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
class EnvironmentHead:
    """An environment's current revision, and the epoch: the name of the history it belongs to.

    The epoch is another one when the store may have gone back. Empty for an environment that
    has none yet; no reader continues from that.
    """

    revision: int
    epoch: bytes


@dataclass(frozen=True, slots=True)
class Definitions:
    """Flags, segments and tombstones of one environment at one point in time.

    From `read_definitions`: everything, with the epoch. From `read_changes`: only what has a
    revision above ``since``, without the epoch; ``follows`` is False if the store's history has
    no ``since``, so that this is not what a reader of it lacks. Archived items are included;
    tombstones older than ``floor`` are not.
    """

    environment_id: str
    revision: int
    floor: int
    flags: tuple[Flag, ...]
    segments: tuple[Segment, ...]
    deleted_flags: tuple[Tombstone, ...] = ()
    deleted_segments: tuple[Tombstone, ...] = ()
    epoch: bytes = b""
    follows: bool = True

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
