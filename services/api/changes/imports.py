"""Brings in flags and segments of another installation: all in one change, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from featmesh.engine.model import Flag, Segment
from services.api.changes import flags as flag_changes
from services.api.changes import segments as segment_changes
from services.api.changes.commit import Changes
from services.api.changes.edits import Label, Mutation, Planned, named
from services.api.rpc.validation.faults import Faults
from services.runtime.errors import AlreadyExists
from services.storage.model.changes import ItemChange
from services.storage.model.items import FlagRecord, SegmentRecord
from services.storage.model.kinds import FLAG, SEGMENT
from services.storage.model.resource import AnyStored, R, Stored
from services.storage.ports.resources import Resources

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

    def __init__(self, resources: Resources, changes: Changes) -> None:
        self._resources = resources
        self._changes = changes

    async def run(
        self, environment_id: str, bundle: Bundle, conflict: Conflict, mutation: Mutation
    ) -> Imported:
        """Raises `AlreadyExists` for taken keys if those are to fail."""

        async def plan() -> Sequence[Planned]:
            return await self._plan(environment_id, bundle, conflict)

        committed = await self._changes.commit(environment_id, plan, mutation)
        flags = sum(one is not None and one.kind is FLAG for one in committed.resources)
        segments = len(committed.resources) - flags
        return Imported(
            revision=committed.revision,
            flags_written=flags,
            flags_skipped=len(bundle.flags) - flags,
            segments_written=segments,
            segments_skipped=len(bundle.segments) - segments,
        )

    async def _plan(
        self, environment_id: str, bundle: Bundle, conflict: Conflict
    ) -> Sequence[Planned]:
        flags = _by_key(
            await self._resources.find(FLAG, environment_id, [flag.key for flag, _ in bundle.flags])
        )
        segments = _by_key(
            await self._resources.find(
                SEGMENT, environment_id, [item.key for item, _ in bundle.segments]
            )
        )
        if conflict is Conflict.FAIL and (flags or segments):
            raise _taken([*flags.values(), *segments.values()])
        skip = conflict is Conflict.SKIP
        if not skip:
            _check_ids(bundle.segments, segments)
        return [
            *(
                _segment_edit(index, imported, segments, skip=skip)
                for index, imported in enumerate(bundle.segments)
            ),
            *(
                _flag_edit(index, imported, flags, skip=skip)
                for index, imported in enumerate(bundle.flags)
            ),
        ]


def _by_key(found: Iterable[Stored[R]]) -> dict[str, Stored[R]]:
    return {stored.key: stored for stored in found}


def _flag_edit(
    index: int,
    imported: tuple[Flag, Label],
    taken: Mapping[str, Stored[FlagRecord]],
    *,
    skip: bool,
) -> Planned:
    flag, label = imported
    path = f"flags[{index}].flag"
    current = taken.get(flag.key)
    if current is None:
        created = flag_changes.labelled(flag_changes.completed(flag), label)
        return ItemChange(FLAG, "import", None, created, path=path)
    if skip:
        return current
    definition = flag_changes.completed(flag, current.content.definition)
    after = flag_changes.labelled(definition, label)
    return ItemChange(FLAG, "import", current, after, path=path)


def _segment_edit(
    index: int,
    imported: tuple[Segment, Label],
    taken: Mapping[str, Stored[SegmentRecord]],
    *,
    skip: bool,
) -> Planned:
    segment, label = imported
    path = f"segments[{index}].segment"
    current = taken.get(segment.key)
    if current is None:
        created = segment_changes.labelled(segment_changes.completed(segment), label)
        return ItemChange(SEGMENT, "import", None, created, path=path)
    if skip:
        return current
    definition = segment_changes.completed(segment, current.content.definition)
    after = segment_changes.labelled(definition, label)
    return ItemChange(SEGMENT, "import", current, after, path=path)


def _check_ids(
    imported: Sequence[tuple[Segment, Label]], taken: Mapping[str, Stored[SegmentRecord]]
) -> None:
    faults = Faults()
    for index, (segment, _) in enumerate(imported):
        current = taken.get(segment.key)
        if current is not None and segment.id not in {"", current.content.definition.id}:
            path = f"segments[{index}].segment.id"
            faults.add(
                path,
                f"is not that of the segment to be replaced, '{current.content.definition.id}'",
            )
    faults.finish()


def _taken(records: Sequence[AnyStored]) -> AlreadyExists:
    shown = ", ".join(named(record) for record in records[:_LISTED])
    more = f" and {len(records) - _LISTED} more" if len(records) > _LISTED else ""
    return AlreadyExists(f"there is already {shown}{more}")
