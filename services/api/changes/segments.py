"""What operators do with segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from featmesh.engine.model import Segment
from services.api.changes.commit import Changes
from services.api.changes.edits import Label, Mutation, Planned
from services.api.changes.rollbacks import rolled_back, to_version_noted
from services.runtime.errors import InvalidArgument
from services.storage.model.changes import Committed, ItemChange
from services.storage.model.items import SegmentRecord
from services.storage.model.kinds import SEGMENT
from services.storage.model.resource import Stored
from services.storage.ports.resources import Resources

PATH: Final = "resource.segment"


class SegmentChanges:
    """Creates, updates, archives, rolls back and deletes segments.

    A ``version`` of 0 stands for whichever is current.
    """

    def __init__(self, resources: Resources, changes: Changes) -> None:
        self._resources = resources
        self._changes = changes

    async def create(
        self, environment_id: str, segment: Segment, label: Label, mutation: Mutation
    ) -> Stored[SegmentRecord]:
        """Version 1, as stored."""
        record = labelled(completed(segment), label)

        async def plan() -> Sequence[Planned]:
            return [ItemChange(SEGMENT, "create", None, record, path=PATH)]

        return _only(await self._changes.commit(environment_id, plan, mutation))

    async def update(
        self, environment_id: str, segment: Segment, label: Label, mutation: Mutation
    ) -> Stored[SegmentRecord]:
        """Replaces the version that ``segment`` says it is based on; its id stays."""

        async def plan() -> Sequence[Planned]:
            current = await self._resources.get(SEGMENT, environment_id, segment.key)
            if segment.id not in {"", current.content.definition.id}:
                # Conditions name the segment by its id.
                raise InvalidArgument.of(
                    f"{PATH}.id", f"cannot change; it is '{current.content.definition.id}'"
                )
            after = labelled(completed(segment, current.content.definition), label)
            return [
                ItemChange(
                    SEGMENT, "update", current, after, expected_version=segment.version, path=PATH
                )
            ]

        return _only(await self._changes.commit(environment_id, plan, mutation))

    async def archive(
        self, environment_id: str, key: str, mutation: Mutation, *, archived: bool, version: int
    ) -> Stored[SegmentRecord]:
        """Archives, or restores; `FailedPrecondition` while a live item names it."""
        operation = "archive" if archived else "restore"

        async def plan() -> Sequence[Planned]:
            current = await self._resources.get(SEGMENT, environment_id, key)
            if current.content.definition.archived == archived:
                return [current]
            definition = replace(current.content.definition, archived=archived)
            after = replace(current.content, definition=definition)
            return [ItemChange(SEGMENT, operation, current, after, expected_version=version)]

        latest = version == 0
        return _only(await self._changes.commit(environment_id, plan, mutation, latest=latest))

    async def rollback(
        self, environment_id: str, key: str, mutation: Mutation, *, to_version: int, version: int
    ) -> Stored[SegmentRecord]:
        """Stores an earlier version again, as a new one; a deleted segment comes back."""

        async def plan() -> Sequence[Planned]:
            earlier = await self._resources.version(SEGMENT, environment_id, key, to_version)
            newest = await self._resources.history(SEGMENT, environment_id, key, 1, "")
            return [rolled_back(earlier, newest.items[0], version)]

        mutation = to_version_noted(mutation, to_version)
        latest = version == 0
        return _only(await self._changes.commit(environment_id, plan, mutation, latest=latest))

    async def delete(
        self, environment_id: str, key: str, mutation: Mutation, *, version: int
    ) -> int:
        """The revision of the tombstone; `FailedPrecondition` while a live item names it."""

        async def plan() -> Sequence[Planned]:
            current = await self._resources.get(SEGMENT, environment_id, key)
            return [ItemChange(SEGMENT, "delete", current, None, expected_version=version)]

        committed = await self._changes.commit(environment_id, plan, mutation, latest=version == 0)
        return committed.revision


def completed(segment: Segment, current: Segment | None = None) -> Segment:
    """With what the server fills in: ids of rules, and an id that stays as it is."""
    rules = tuple(rule if rule.id else replace(rule, id=str(uuid4())) for rule in segment.rules)
    segment_id = segment.id or (current.id if current else str(uuid4()))
    return replace(segment, id=segment_id, rules=rules)


def labelled(segment: Segment, label: Label) -> SegmentRecord:
    """The segment with what operators say of it."""
    return SegmentRecord(segment, label.display_name, label.description, label.tags)


def _only(committed: Committed) -> Stored[SegmentRecord]:
    (stored,) = committed.resources or committed.unchanged
    if stored is None or stored.kind is not SEGMENT:
        raise TypeError("a segment's change was answered with something else")
    return stored
