"""Flags and segments as operators see them."""

from __future__ import annotations

from dataclasses import dataclass

from featmesh.engine.model import Flag, Segment


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """A flag; version and revision of ``definition`` are the store's, a change's are ignored."""

    definition: Flag
    display_name: str
    description: str = ""
    tags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The flag's key."""
        return self.definition.key


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A segment; version and revision of ``definition`` as in `FlagRecord`."""

    definition: Segment
    display_name: str
    description: str = ""
    tags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The segment's key."""
        return self.definition.key
