"""What operators do with segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from featmesh.engine.model import Segment
from services.api.changes.commit import Changes
from services.api.changes.edits import Edit, Label, Mutation, created_meta, updated_meta
from services.api.changes.rollbacks import rolled_back, to_version_noted
from services.runtime.errors import InvalidArgument
from services.storage.model.changes import Committed
from services.storage.model.items import SegmentRecord
from services.storage.ports.items import ItemStore

PATH: Final = "resource.segment"


class SegmentChanges:
    """Creates, updates, archives, rolls back and deletes segments.

    A ``version`` of 0 stands for whichever is current.
    """

    def __init__(self, items: ItemStore, changes: Changes) -> None:
        self._items = items
        self._changes = changes

    async def create(
        self, environment_id: str, segment: Segment, label: Label, mutation: Mutation
    ) -> SegmentRecord:
        """Version 1, as stored."""
        record = SegmentRecord(completed(segment), created_meta(label, mutation))

        async def plan() -> Sequence[Edit]:
            return [Edit("create", None, record, PATH)]

        return _only(await self._changes.commit(environment_id, plan, mutation))

    async def update(
        self, environment_id: str, segment: Segment, label: Label, mutation: Mutation
    ) -> SegmentRecord:
        """Replaces the version that ``segment`` says it is based on; its id stays."""

        async def plan() -> Sequence[Edit]:
            current = await self._items.get_segment(environment_id, segment.key)
            if segment.id not in {"", current.item.id}:
                # Conditions name the segment by its id.
                raise InvalidArgument.of(f"{PATH}.id", f"cannot change; it is '{current.item.id}'")
            after = SegmentRecord(
                completed(segment, current.item), updated_meta(current.meta, mutation, label)
            )
            return [Edit("update", at_version(current, segment.version), after, PATH)]

        return _only(await self._changes.commit(environment_id, plan, mutation))

    async def archive(
        self, environment_id: str, key: str, mutation: Mutation, *, archived: bool, version: int
    ) -> SegmentRecord:
        """Archives, or restores; `FailedPrecondition` while a live item names it."""
        operation = "archive" if archived else "restore"

        async def plan() -> Sequence[Edit]:
            current = await self._items.get_segment(environment_id, key)
            if current.item.archived == archived:
                return [Edit(operation, current, current)]
            item = replace(current.item, archived=archived)
            after = SegmentRecord(item, updated_meta(current.meta, mutation))
            return [Edit(operation, at_version(current, version), after)]

        latest = version == 0
        return _only(await self._changes.commit(environment_id, plan, mutation, latest=latest))

    async def rollback(
        self, environment_id: str, key: str, mutation: Mutation, *, to_version: int, version: int
    ) -> SegmentRecord:
        """Stores an earlier version again, as a new one; a deleted segment comes back."""

        async def plan() -> Sequence[Edit]:
            earlier = await self._items.get_segment_version(environment_id, key, to_version)
            newest = await self._items.list_segment_versions(environment_id, key, 1, "")
            return [rolled_back(earlier, newest.items[0], mutation, version)]

        mutation = to_version_noted(mutation, to_version)
        latest = version == 0
        return _only(await self._changes.commit(environment_id, plan, mutation, latest=latest))

    async def delete(
        self, environment_id: str, key: str, mutation: Mutation, *, version: int
    ) -> int:
        """The revision of the tombstone; `FailedPrecondition` while a live item names it."""

        async def plan() -> Sequence[Edit]:
            current = await self._items.get_segment(environment_id, key)
            return [Edit("delete", at_version(current, version), None)]

        committed = await self._changes.commit(environment_id, plan, mutation, latest=version == 0)
        return committed.revision


def completed(segment: Segment, current: Segment | None = None) -> Segment:
    """With what the server fills in: ids of rules, and an id that stays as it is."""
    rules = tuple(rule if rule.id else replace(rule, id=str(uuid4())) for rule in segment.rules)
    segment_id = segment.id or (current.id if current else str(uuid4()))
    return replace(segment, id=segment_id, rules=rules)


def at_version(record: SegmentRecord, version: int) -> SegmentRecord:
    """The record as of the version that the write is based on; see `flag_changes`."""
    return replace(record, item=replace(record.item, version=version)) if version else record


def _only(committed: Committed) -> SegmentRecord:
    (record,) = committed.records or committed.kept
    if not isinstance(record, SegmentRecord):
        raise TypeError("a segment's change was answered with something else")
    return record
