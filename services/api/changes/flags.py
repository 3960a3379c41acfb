"""What operators do with flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from featmesh.engine.model import Flag
from services.api.changes.commit import Changes
from services.api.changes.edits import Edit, Label, Mutation, created_meta, updated_meta
from services.api.changes.rollbacks import rolled_back, to_version_noted
from services.storage.model.changes import Committed
from services.storage.model.items import FlagRecord
from services.storage.ports.items import ItemStore

PATH: Final = "resource.flag"


class FlagChanges:
    """Creates, updates, toggles, archives, rolls back and deletes flags.

    A ``version`` of 0 stands for whichever is current.
    """

    def __init__(self, items: ItemStore, changes: Changes) -> None:
        self._items = items
        self._changes = changes

    async def create(
        self, environment_id: str, flag: Flag, label: Label, mutation: Mutation
    ) -> FlagRecord:
        """Version 1, as stored."""
        record = FlagRecord(completed(flag), created_meta(label, mutation))

        async def plan() -> Sequence[Edit]:
            return [Edit("create", None, record, PATH)]

        return _only(await self._changes.commit(environment_id, plan, mutation))

    async def update(
        self, environment_id: str, flag: Flag, label: Label, mutation: Mutation
    ) -> FlagRecord:
        """Replaces the version that ``flag`` says it is based on."""

        async def plan() -> Sequence[Edit]:
            current = await self._items.get_flag(environment_id, flag.key)
            after = FlagRecord(
                completed(flag, current.item), updated_meta(current.meta, mutation, label)
            )
            return [Edit("update", at_version(current, flag.version), after, PATH)]

        return _only(await self._changes.commit(environment_id, plan, mutation))

    async def toggle(
        self, environment_id: str, key: str, mutation: Mutation, *, enabled: bool, version: int
    ) -> FlagRecord:
        """Doing what is already so answers with the flag as it is and writes nothing."""

        async def plan() -> Sequence[Edit]:
            current = await self._items.get_flag(environment_id, key)
            if current.item.enabled == enabled:
                return [Edit("toggle", current, current)]
            item = replace(current.item, enabled=enabled)
            after = FlagRecord(item, updated_meta(current.meta, mutation))
            return [Edit("toggle", at_version(current, version), after)]

        latest = version == 0
        return _only(await self._changes.commit(environment_id, plan, mutation, latest=latest))

    async def archive(
        self, environment_id: str, key: str, mutation: Mutation, *, archived: bool, version: int
    ) -> FlagRecord:
        """Archives, or restores; `FailedPrecondition` while a live flag needs it."""
        operation = "archive" if archived else "restore"

        async def plan() -> Sequence[Edit]:
            current = await self._items.get_flag(environment_id, key)
            if current.item.archived == archived:
                return [Edit(operation, current, current)]
            item = replace(current.item, archived=archived)
            after = FlagRecord(item, updated_meta(current.meta, mutation))
            return [Edit(operation, at_version(current, version), after)]

        latest = version == 0
        return _only(await self._changes.commit(environment_id, plan, mutation, latest=latest))

    async def rollback(
        self, environment_id: str, key: str, mutation: Mutation, *, to_version: int, version: int
    ) -> FlagRecord:
        """Stores an earlier version again, as a new one; a deleted flag comes back."""

        async def plan() -> Sequence[Edit]:
            earlier = await self._items.get_flag_version(environment_id, key, to_version)
            newest = await self._items.list_flag_versions(environment_id, key, 1, "")
            return [rolled_back(earlier, newest.items[0], mutation, version)]

        mutation = to_version_noted(mutation, to_version)
        latest = version == 0
        return _only(await self._changes.commit(environment_id, plan, mutation, latest=latest))

    async def delete(
        self, environment_id: str, key: str, mutation: Mutation, *, version: int
    ) -> int:
        """The revision of the tombstone; `FailedPrecondition` while a live flag needs it."""

        async def plan() -> Sequence[Edit]:
            current = await self._items.get_flag(environment_id, key)
            return [Edit("delete", at_version(current, version), None)]

        committed = await self._changes.commit(environment_id, plan, mutation, latest=version == 0)
        return committed.revision


def completed(flag: Flag, current: Flag | None = None) -> Flag:
    """With what the server fills in: ids of rules, and a salt that stays as it is."""
    rules = tuple(rule if rule.id else replace(rule, id=str(uuid4())) for rule in flag.rules)
    salt = flag.salt or (current.salt if current else "") or flag.key
    return replace(flag, rules=rules, salt=salt)


def at_version(record: FlagRecord, version: int) -> FlagRecord:
    """The record as of the version that the write is based on.

    Whether that is the current one is for the store to say, which also knows whether this
    very write was done before.
    """
    return replace(record, item=replace(record.item, version=version)) if version else record


def _only(committed: Committed) -> FlagRecord:
    (record,) = committed.records or committed.kept
    if not isinstance(record, FlagRecord):
        raise TypeError("a flag's change was answered with something else")
    return record
