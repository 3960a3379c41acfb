"""Everything that an environment's evaluations read, at one revision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, TypeVar

from featmesh.engine.compile import CompiledFlag, broken_flag, compile_flag
from featmesh.engine.dependencies import cycle_edges, on_cycles, reachable, reversed_graph
from featmesh.engine.membership import CompiledSegment, compile_segment
from featmesh.engine.model import Flag, Segment

MAX_FAULTS = 100
"""A snapshot tells of at most so many faults."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Contents:
    """What a snapshot holds. No dictionary changes once its snapshot is handed out."""

    flags: dict[str, Flag] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    live_flags: dict[str, CompiledFlag] = field(default_factory=dict)
    live_segments: dict[str, CompiledSegment] = field(default_factory=dict)
    prerequisites: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of live flags that have any."""
    flag_faults: dict[str, tuple[str, ...]] = field(default_factory=dict)
    segment_faults: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cyclic: frozenset[str] = frozenset()
    """Live flags whose prerequisites lead back to themselves."""

    def copy(self) -> _Contents:
        return replace(
            self,
            flags=dict(self.flags),
            segments=dict(self.segments),
            live_flags=dict(self.live_flags),
            live_segments=dict(self.live_segments),
            prerequisites=dict(self.prerequisites),
            flag_faults=dict(self.flag_faults),
            segment_faults=dict(self.segment_faults),
        )


class Snapshot:
    """An environment's flags and segments at one revision, ready for evaluation.

    Immutable: `apply` gives another snapshot that shares all that did not change. It may
    be read from any number of threads.
    """

    __slots__ = ("_contents", "_revision", "cyclic_flag_keys", "live_flags", "live_segments")

    live_flags: Mapping[str, CompiledFlag]
    """For `evaluate` alone: the compiled flags that are not archived."""
    live_segments: Mapping[str, CompiledSegment]
    """For `evaluate` alone: the compiled segments that are not archived."""
    cyclic_flag_keys: frozenset[str]
    """For `evaluate` alone: flags whose prerequisites lead back to themselves."""

    def __init__(self, revision: int, contents: _Contents) -> None:
        self._revision = revision
        self._contents = contents
        self.live_flags = contents.live_flags
        self.live_segments = contents.live_segments
        self.cyclic_flag_keys = contents.cyclic

    @classmethod
    def empty(cls) -> Snapshot:
        """A snapshot of nothing, at revision 0."""
        return cls(0, _Contents())

    @classmethod
    def build(cls, revision: int, flags: Iterable[Flag], segments: Iterable[Segment]) -> Snapshot:
        """A snapshot of exactly these items; the last of several with one key wins."""
        return cls.empty().apply(revision, flags=flags, segments=segments)

    def apply(
        self,
        revision: int,
        *,
        flags: Iterable[Flag] = (),
        segments: Iterable[Segment] = (),
        deleted_flag_keys: Iterable[str] = (),
        deleted_segment_ids: Iterable[str] = (),
    ) -> Snapshot:
        """The snapshot after a change; only the given items are compiled.

        Deletions come first, so an item that is also given stays. Deleting what is not
        there changes nothing.
        """
        contents = self._contents.copy()
        for key in deleted_flag_keys:
            _drop_flag(contents, key)
        for segment_id in deleted_segment_ids:
            _drop_segment(contents, segment_id)
        for segment in segments:
            _put_segment(contents, segment)
        if contents.live_segments != self._contents.live_segments:
            _mark_loops(contents.live_segments)
        for flag in flags:
            _put_flag(contents, flag)
        if contents.prerequisites != self._contents.prerequisites:
            contents = replace(contents, cyclic=on_cycles(contents.prerequisites))
        return Snapshot(revision, contents)

    @property
    def revision(self) -> int:
        """The environment's revision that this snapshot shows."""
        return self._revision

    @property
    def flags(self) -> Mapping[str, Flag]:
        """All flags by key, archived ones included."""
        return MappingProxyType(self._contents.flags)

    @property
    def segments(self) -> Mapping[str, Segment]:
        """All segments by id, archived ones included."""
        return MappingProxyType(self._contents.segments)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the definitions, as sentences: the first 100 of them.

        The engine does not log; whoever builds snapshots reports each sentence once.
        """
        contents = self._contents
        return tuple(
            islice(
                chain(
                    _sentences("flag", contents.flag_faults),
                    (
                        f"flag {key!r}: its prerequisites lead back to itself"
                        for key in sorted(contents.cyclic)
                    ),
                    _sentences("segment", contents.segment_faults),
                ),
                MAX_FAULTS,
            )
        )

    def looks_at_nothing(self, flag_key: str) -> bool:
        """Whether the flag is enabled and gives every context the same result.

        It has no prerequisites, targets, rules and shares to choose from, then.
        """
        flag = self.live_flags.get(flag_key)
        return flag is not None and flag.enabled and flag.constant is not None

    def live_flag_keys(self) -> list[str]:
        """The sorted keys of all flags that are not archived."""
        return sorted(self.live_flags)

    def affected_by(
        self, flag_keys: Collection[str], segment_ids: Collection[str]
    ) -> frozenset[str]:
        """Keys of flags whose result can change when these flags and segments do.

        The given flag keys are among them, deleted ones too; the others are live flags
        that depend on one of the given items directly, through segments in segments or
        through prerequisites. Ask the snapshot after the change.
        """
        if not self.live_flags:
            return frozenset(flag_keys)
        changed = reachable(reversed_graph(_nesting(self.live_segments)), segment_ids)
        direct = set(flag_keys)
        if changed:
            direct.update(
                key
                for key, flag in self.live_flags.items()
                if not changed.isdisjoint(flag.segment_ids)
            )
        return frozenset(reachable(reversed_graph(self._contents.prerequisites), direct))

    def __repr__(self) -> str:
        contents = self._contents
        return (
            f"Snapshot(revision={self._revision}, flags={len(contents.flags)}, "
            f"segments={len(contents.segments)})"
        )


def _put_flag(contents: _Contents, flag: Flag) -> None:
    _drop_flag(contents, flag.key)
    contents.flags[flag.key] = flag
    if flag.archived:
        return
    compiled = _guarded(compile_flag, flag) or broken_flag(flag)
    contents.live_flags[flag.key] = compiled
    if compiled.prerequisite_keys:
        contents.prerequisites[flag.key] = compiled.prerequisite_keys
    if compiled.faults:
        contents.flag_faults[flag.key] = compiled.faults[:MAX_FAULTS]


def _drop_flag(contents: _Contents, key: str) -> None:
    by_key: tuple[dict[str, Any], ...] = (
        contents.flags,
        contents.live_flags,
        contents.prerequisites,
        contents.flag_faults,
    )
    for each in by_key:
        each.pop(key, None)


def _put_segment(contents: _Contents, segment: Segment) -> None:
    _drop_segment(contents, segment.id)
    contents.segments[segment.id] = segment
    if segment.archived:
        return
    compiled = _guarded(compile_segment, segment)
    if compiled is None:
        contents.segment_faults[segment.id] = ("it cannot be compiled and has no members",)
        return
    contents.live_segments[segment.id] = compiled
    if compiled.faults:
        contents.segment_faults[segment.id] = compiled.faults[:MAX_FAULTS]


def _drop_segment(contents: _Contents, segment_id: str) -> None:
    by_id: tuple[dict[str, Any], ...] = (
        contents.segments,
        contents.live_segments,
        contents.segment_faults,
    )
    for each in by_id:
        each.pop(segment_id, None)


def _nesting(segments: Mapping[str, CompiledSegment]) -> dict[str, tuple[str, ...]]:
    return {each.id: each.nested for each in segments.values() if each.nested}


def _mark_loops(segments: dict[str, CompiledSegment]) -> None:
    nesting = _nesting(segments)
    loops = cycle_edges(nesting)
    for segment_id in nesting:
        looping = loops.get(segment_id, frozenset())
        if segments[segment_id].looping != looping:
            segments[segment_id] = replace(segments[segment_id], looping=looping)


def _guarded(compile_item: Callable[[Any], T], item: Flag | Segment) -> T | None:
    try:
        return compile_item(item)
    except Exception:  # noqa: BLE001  # one malformed item must never stop the others
        return None


def _sentences(kind: str, faults: Mapping[str, tuple[str, ...]]) -> Iterable[str]:
    return (f"{kind} {key!r}: {fault}" for key in sorted(faults) for fault in faults[key])
