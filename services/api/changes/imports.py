"""Brings in flags and segments of another installation: all in one change, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final

from services.api.changes.commit import Changes
from services.api.changes.definitions import flag_with_defaults, segment_with_defaults
from services.api.rpc.call import Mutation
from services.runtime.errors import AlreadyExists
from services.runtime.violations import Violations
from services.storage.model.changes import AnyItemChange, ItemChange
from services.storage.model.items import FlagRecord, SegmentRecord
from services.storage.model.kinds import FLAG, SEGMENT
from services.storage.model.resource import AnyStored, Kind, Stored
from services.storage.ports.resources import Resources

_LISTED: Final = 10
"""Number of taken keys that a message names; of more only the number is said."""


class Conflict(Enum):
    """What happens to a key that is taken."""

    FAIL = auto()
    SKIP = auto()
    REPLACE = auto()


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is imported, in the order of the request."""

    flags: Sequence[FlagRecord]
    segments: Sequence[SegmentRecord]


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
        """Imports in one change; raises `AlreadyExists` for taken keys if those are to fail."""

        async def plan() -> Sequence[AnyItemChange]:
            return await self._plan(environment_id, bundle, conflict)

        committed = await self._changes.commit(environment_id, plan, mutation)
        written = [each.kind for each in committed.resources if each is not None]
        flags, segments = written.count(FLAG), written.count(SEGMENT)
        return Imported(
            revision=committed.revision,
            flags_written=flags,
            flags_skipped=len(bundle.flags) - flags,
            segments_written=segments,
            segments_skipped=len(bundle.segments) - segments,
        )

    async def _plan(
        self, environment_id: str, bundle: Bundle, conflict: Conflict
    ) -> Sequence[AnyItemChange]:
        flags = await self._taken(FLAG, environment_id, bundle.flags)
        segments = await self._taken(SEGMENT, environment_id, bundle.segments)
        if conflict is Conflict.FAIL and (flags or segments):
            raise _already_there([*flags.values(), *segments.values()])
        skip = conflict is Conflict.SKIP
        if not skip:
            _check_ids(bundle.segments, segments)
        return [
            *_segment_changes(bundle.segments, segments, skip=skip),
            *_flag_changes(bundle.flags, flags, skip=skip),
        ]

    async def _taken(
        self, kind: Kind[Any], environment_id: str, records: Sequence[FlagRecord | SegmentRecord]
    ) -> dict[str, AnyStored]:
        found = await self._resources.find(kind, environment_id, [each.key for each in records])
        return {stored.key: stored for stored in found}


def _flag_changes(
    records: Sequence[FlagRecord], taken: dict[str, Stored[FlagRecord]], *, skip: bool
) -> Iterator[AnyItemChange]:
    for index, record in enumerate(records):
        current = taken.get(record.key)
        known = current.content.definition if current else None
        after = replace(record, definition=flag_with_defaults(record.definition, known))
        if current is not None and skip:
            after = current.content
        yield ItemChange(FLAG, "import", current, after, path=f"flags[{index}]")


def _segment_changes(
    records: Sequence[SegmentRecord], taken: dict[str, Stored[SegmentRecord]], *, skip: bool
) -> Iterator[AnyItemChange]:
    for index, record in enumerate(records):
        current = taken.get(record.key)
        known = current.content.definition if current else None
        after = replace(record, definition=segment_with_defaults(record.definition, known))
        if current is not None and skip:
            after = current.content
        yield ItemChange(SEGMENT, "import", current, after, path=f"segments[{index}]")


def _check_ids(imported: Sequence[SegmentRecord], taken: dict[str, Stored[SegmentRecord]]) -> None:
    violations = Violations()
    for index, record in enumerate(imported):
        current = taken.get(record.key)
        if current is not None and record.definition.id not in {
            "",
            current.content.definition.id,
        }:
            path, known = f"segments[{index}].segment.id", current.content.definition.id
            violations.add(path, f"is not that of the segment to be replaced, '{known}'")
    violations.finish()


def _already_there(resources: Sequence[AnyStored]) -> AlreadyExists:
    shown = ", ".join(f"{each.kind.name} '{each.key}'" for each in resources[:_LISTED])
    more = f" and {len(resources) - _LISTED} more" if len(resources) > _LISTED else ""
    return AlreadyExists(f"there is already {shown}{more}")
