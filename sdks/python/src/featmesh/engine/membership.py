"""Segments: prepared once, asked for membership many times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from featmesh.engine.dependencies import nested_segment_ids
from featmesh.engine.model import Context, Segment
from featmesh.engine.operators import Test, compile_conditions
from featmesh.engine.records import record

Known = Mapping[str, bool]
"""Membership in nested segments, by id, of the context that is being asked about."""


@record(frozen=True, slots=True)
class CompiledSegment:
    """A segment in the shape that answers fastest; `nested` are the segments it names."""

    id: str
    excluded: frozenset[str]
    included: frozenset[str]
    rules: tuple[tuple[Test[Known], ...], ...]
    nested: tuple[str, ...]
    faults: tuple[str, ...]
    looping: frozenset[str] = frozenset()
    """Those of the nested segments that lead back here. Set by the snapshot."""

    def holds(self, context: Context, known: Known) -> bool:
        """Whether the context is a member, given its membership in nested segments."""
        if self.is_listed(context.key):
            return self.lists(context.key)
        for tests in self.rules:
            for test in tests:
                if not test(context, known):
                    break
            else:
                return True
        return False

    def lists(self, key: str) -> bool:
        """Whether the lists alone make this key a member."""
        return key in self.included and key not in self.excluded

    def is_listed(self, key: str) -> bool:
        """Whether a list decides about this key, so that no rule is asked."""
        return key in self.excluded or key in self.included


Segments = Mapping[str, CompiledSegment]
"""The segments of a snapshot that can have members, by id."""


def compile_segment(segment: Segment) -> CompiledSegment:
    """Prepares a segment."""
    faults: list[str] = []
    rules = tuple(
        compile_conditions(rule.conditions, _in_known_segments, faults) for rule in segment.rules
    )
    return CompiledSegment(
        id=segment.id,
        excluded=frozenset(segment.excluded),
        included=frozenset(segment.included),
        rules=rules,
        nested=nested_segment_ids(segment),
        faults=tuple(dict.fromkeys(faults)),
    )


def is_member(segments: Segments, segment_id: str, context: Context) -> bool:
    """Whether the context is in the segment; an unknown segment has no members.

    Nested segments are answered first, innermost to outermost, each once and in a loop:
    time is linear and a chain of any length is fine. A segment on a cycle sees only the
    lists of the next ones on it, so that rules which lead in a circle never match and no
    answer depends on which segment was asked first.
    """
    segment = segments.get(segment_id)
    if segment is None:
        return False
    if not segment.nested or segment.is_listed(context.key):
        return segment.holds(context, _NOTHING_KNOWN)
    return _is_member_by_nesting(segments, segment, context)


def in_any_segment(segment_ids: tuple[str, ...]) -> Test[Segments]:
    """Makes a flag's test for membership in any of the segments."""

    def test(context: Context, segments: Segments) -> bool:
        for segment_id in segment_ids:  # noqa: SIM110  # a generator costs more than most look-ups
            if is_member(segments, segment_id, context):
                return True
        return False

    return test


_NOTHING_KNOWN: Known = {}


def _is_member_by_nesting(segments: Segments, asked: CompiledSegment, context: Context) -> bool:
    known: dict[str, bool] = {}
    entered = {asked.id}
    walk: list[tuple[CompiledSegment, Iterator[str]]] = [(asked, iter(asked.nested))]
    while walk:
        segment, rest = walk[-1]
        for nested_id in rest:
            nested = segments.get(nested_id)
            inner = nested_id not in segment.looping
            if inner and nested is not None and nested_id not in entered:
                entered.add(nested_id)
                # One that a list decides needs nothing from further in.
                further = () if nested.is_listed(context.key) else nested.nested
                walk.append((nested, iter(further)))
                break
        else:
            walk.pop()
            seen = _without_loops(segments, segment, context.key, known)
            known[segment.id] = segment.holds(context, seen)
    return known[asked.id]


def _without_loops(segments: Segments, segment: CompiledSegment, key: str, known: Known) -> Known:
    if not segment.looping:
        return known
    return {
        each: segments[each].lists(key) if each in segment.looping else known.get(each, False)
        for each in segment.nested
    }


def _in_known_segments(segment_ids: tuple[str, ...]) -> Test[Known]:
    def test(_context: Context, known: Known) -> bool:
        return any(known.get(segment_id, False) for segment_id in segment_ids)

    return test
