"""Brings in flags and segments of another installation: all in one change, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeVar

from featmesh.engine.model import Flag, Segment
from services.api.changes import flags as flag_changes
from services.api.changes import segments as segment_changes
from services.api.changes.commit import Changes
from services.api.changes.edits import Edit, Label, Mutation, created_meta, named, updated_meta
from services.api.rpc.validation.faults import Faults
from services.runtime.errors import AlreadyExists
from services.storage.model.items import FlagRecord, Record, SegmentRecord
from services.storage.ports.items import ItemStore

R = TypeVar("R", FlagRecord, SegmentRecord)

_LISTED: Final = 10
"""Taken keys that a message names; of more only the number is said."""


class Conflict(Enum):
    """What happens to a key that is taken."""

    FAIL = auto()
    SKIP = auto()
    REPLACE = auto()


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is imported, in the order of the request."""

    flags: Sequence[tuple[Flag, Label]]
    segments: Sequence[tuple[Segment, Label]]


@dataclass(frozen=True, slots=True)
class Imported:
    """The environment's revision afterwards, and what was done with how many."""

    revision: int
    flags_written: int
    flags_skipped: int
    segments_written: int
    segments_skipped: int


class ImportChanges:
    """Imports bundles."""

    def __init__(self, items: ItemStore, changes: Changes) -> None:
        self._items = items
        self._changes = changes

    async def run(
        self, environment_id: str, bundle: Bundle, conflict: Conflict, mutation: Mutation
    ) -> Imported:
        """Raises `AlreadyExists` for taken keys if those are to fail."""

        async def plan() -> Sequence[Edit]:
            return await self._plan(environment_id, bundle, conflict, mutation)

        committed = await self._changes.commit(environment_id, plan, mutation)
        flags = sum(isinstance(record, FlagRecord) for record in committed.records)
        segments = len(committed.records) - flags
        return Imported(
            revision=committed.revision,
            flags_written=flags,
            flags_skipped=len(bundle.flags) - flags,
            segments_written=segments,
            segments_skipped=len(bundle.segments) - segments,
        )

    async def _plan(
        self, environment_id: str, bundle: Bundle, conflict: Conflict, mutation: Mutation
    ) -> Sequence[Edit]:
        flags = _by_key(
            await self._items.find_flags(environment_id, [flag.key for flag, _ in bundle.flags])
        )
        segments = _by_key(
            await self._items.find_segments(
                environment_id, [item.key for item, _ in bundle.segments]
            )
        )
        if conflict is Conflict.FAIL and (flags or segments):
            raise _taken([*flags.values(), *segments.values()])
        skip = conflict is Conflict.SKIP
        if not skip:
            _check_ids(bundle.segments, segments)
        return [
            *(
                _segment_edit(index, imported, segments, mutation, skip=skip)
                for index, imported in enumerate(bundle.segments)
            ),
            *(
                _flag_edit(index, imported, flags, mutation, skip=skip)
                for index, imported in enumerate(bundle.flags)
            ),
        ]


def _by_key(records: Iterable[R]) -> dict[str, R]:
    return {record.item.key: record for record in records}


def _flag_edit(
    index: int,
    imported: tuple[Flag, Label],
    taken: Mapping[str, FlagRecord],
    mutation: Mutation,
    *,
    skip: bool,
) -> Edit:
    flag, label = imported
    path = f"flags[{index}].flag"
    current = taken.get(flag.key)
    if current is None:
        created = FlagRecord(flag_changes.completed(flag), created_meta(label, mutation))
        return Edit("import", None, created, path)
    if skip:
        return Edit("import", current, current, path)
    item = flag_changes.completed(flag, current.item)
    after = FlagRecord(item, updated_meta(current.meta, mutation, label))
    return Edit("import", current, after, path)


def _segment_edit(
    index: int,
    imported: tuple[Segment, Label],
    taken: Mapping[str, SegmentRecord],
    mutation: Mutation,
    *,
    skip: bool,
) -> Edit:
    segment, label = imported
    path = f"segments[{index}].segment"
    current = taken.get(segment.key)
    if current is None:
        created = SegmentRecord(segment_changes.completed(segment), created_meta(label, mutation))
        return Edit("import", None, created, path)
    if skip:
        return Edit("import", current, current, path)
    item = segment_changes.completed(segment, current.item)
    after = SegmentRecord(item, updated_meta(current.meta, mutation, label))
    return Edit("import", current, after, path)


def _check_ids(
    imported: Sequence[tuple[Segment, Label]], taken: Mapping[str, SegmentRecord]
) -> None:
    faults = Faults()
    for index, (segment, _) in enumerate(imported):
        current = taken.get(segment.key)
        if current is not None and segment.id not in {"", current.item.id}:
            path = f"segments[{index}].segment.id"
            faults.add(path, f"is not that of the segment to be replaced, '{current.item.id}'")
    faults.finish()


def _taken(records: Sequence[Record]) -> AlreadyExists:
    shown = ", ".join(named(record) for record in records[:_LISTED])
    more = f" and {len(records) - _LISTED} more" if len(records) > _LISTED else ""
    return AlreadyExists(f"there is already {shown}{more}")
