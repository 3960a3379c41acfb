"""What operators do with flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from featmesh.engine.model import Flag
from services.api.changes.commit import Changes
from services.api.changes.edits import Label, Mutation, Planned
from services.api.changes.rollbacks import rolled_back, to_version_noted
from services.storage.model.changes import Committed, ItemChange
from services.storage.model.items import FlagRecord
from services.storage.model.kinds import FLAG
from services.storage.model.resource import Stored
from services.storage.ports.resources import Resources

PATH: Final = "resource.flag"


class FlagChanges:
    """Creates, updates, toggles, archives, rolls back and deletes flags.

    A ``version`` of 0 stands for whichever is current.
    """

    def __init__(self, resources: Resources, changes: Changes) -> None:
        self._resources = resources
        self._changes = changes

    async def create(
        self, environment_id: str, flag: Flag, label: Label, mutation: Mutation
    ) -> Stored[FlagRecord]:
        """Version 1, as stored."""
        record = labelled(completed(flag), label)

        async def plan() -> Sequence[Planned]:
            return [ItemChange(FLAG, "create", None, record, path=PATH)]

        return _only(await self._changes.commit(environment_id, plan, mutation))

    async def update(
        self, environment_id: str, flag: Flag, label: Label, mutation: Mutation
    ) -> Stored[FlagRecord]:
        """Replaces the version that ``flag`` says it is based on."""

        async def plan() -> Sequence[Planned]:
            current = await self._resources.get(FLAG, environment_id, flag.key)
            after = labelled(completed(flag, current.content.definition), label)
            return [
                ItemChange(FLAG, "update", current, after, expected_version=flag.version, path=PATH)
            ]

        return _only(await self._changes.commit(environment_id, plan, mutation))

    async def toggle(
        self, environment_id: str, key: str, mutation: Mutation, *, enabled: bool, version: int
    ) -> Stored[FlagRecord]:
        """Doing what is already so answers with the flag as it is and writes nothing."""

        async def plan() -> Sequence[Planned]:
            current = await self._resources.get(FLAG, environment_id, key)
            if current.content.definition.enabled == enabled:
                return [current]
            definition = replace(current.content.definition, enabled=enabled)
            after = replace(current.content, definition=definition)
            return [ItemChange(FLAG, "toggle", current, after, expected_version=version)]

        latest = version == 0
        return _only(await self._changes.commit(environment_id, plan, mutation, latest=latest))

    async def archive(
        self, environment_id: str, key: str, mutation: Mutation, *, archived: bool, version: int
    ) -> Stored[FlagRecord]:
        """Archives, or restores; `FailedPrecondition` while a live flag needs it."""
        operation = "archive" if archived else "restore"

        async def plan() -> Sequence[Planned]:
            current = await self._resources.get(FLAG, environment_id, key)
            if current.content.definition.archived == archived:
                return [current]
            definition = replace(current.content.definition, archived=archived)
            after = replace(current.content, definition=definition)
            return [ItemChange(FLAG, operation, current, after, expected_version=version)]

        latest = version == 0
        return _only(await self._changes.commit(environment_id, plan, mutation, latest=latest))

    async def rollback(
        self, environment_id: str, key: str, mutation: Mutation, *, to_version: int, version: int
    ) -> Stored[FlagRecord]:
        """Stores an earlier version again, as a new one; a deleted flag comes back."""

        async def plan() -> Sequence[Planned]:
            earlier = await self._resources.version(FLAG, environment_id, key, to_version)
            newest = await self._resources.history(FLAG, environment_id, key, 1, "")
            return [rolled_back(earlier, newest.items[0], version)]

        mutation = to_version_noted(mutation, to_version)
        latest = version == 0
        return _only(await self._changes.commit(environment_id, plan, mutation, latest=latest))

    async def delete(
        self, environment_id: str, key: str, mutation: Mutation, *, version: int
    ) -> int:
        """The revision of the tombstone; `FailedPrecondition` while a live flag needs it."""

        async def plan() -> Sequence[Planned]:
            current = await self._resources.get(FLAG, environment_id, key)
            return [ItemChange(FLAG, "delete", current, None, expected_version=version)]

        committed = await self._changes.commit(environment_id, plan, mutation, latest=version == 0)
        return committed.revision


def completed(flag: Flag, current: Flag | None = None) -> Flag:
    """With what the server fills in: ids of rules, and a salt that stays as it is."""
    rules = tuple(rule if rule.id else replace(rule, id=str(uuid4())) for rule in flag.rules)
    salt = flag.salt or (current.salt if current else "") or flag.key
    return replace(flag, rules=rules, salt=salt)


def labelled(flag: Flag, label: Label) -> FlagRecord:
    """The flag with what operators say of it."""
    return FlagRecord(flag, label.display_name, label.description, label.tags)


def _only(committed: Committed) -> Stored[FlagRecord]:
    (stored,) = committed.resources or committed.unchanged
    if stored is None or stored.kind is not FLAG:
        raise TypeError("a flag's change was answered with something else")
    return stored
