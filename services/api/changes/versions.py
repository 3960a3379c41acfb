"""Archiving, deleting and going back: the same for every kind that has definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from services.api.changes.commit import Changes, only
from services.api.rpc.call import Mutation, Target, with_note
from services.runtime.errors import FailedPrecondition, StaleVersion
from services.storage.model.changes import ItemChange
from services.storage.model.resource import Kind, R, Stored, Version
from services.storage.ports.resources import Resources

ROLLBACK: Final = "rollback"

Edit = Callable[[Any], Any]
"""Returns the content that shall be; the very same object where nothing is to change."""


class VersionChanges:
    """Changes of one resource that exists; a version of 0 stands for whichever is current."""

    def __init__(self, resources: Resources, changes: Changes) -> None:
        self._resources = resources
        self._changes = changes

    async def edit(
        self,
        kind: Kind[R],
        target: Target,
        operation: str,
        edit: Edit,
        *,
        mutation: Mutation,
        version: int,
    ) -> Stored[R]:
        """Stores what ``edit`` makes of the content; where that is the same, nothing."""

        async def plan() -> Sequence[ItemChange[R]]:
            current = await self._resources.get(kind, target.scope_id, target.key)
            after = edit(current.content)
            return [ItemChange(kind, operation, current, after, expected_version=version)]

        committed = await self._changes.commit(target.scope_id, plan, mutation, latest=version == 0)
        return only(committed)

    async def delete(
        self,
        kind: Kind[R],
        target: Target,
        check: Callable[[R], None],
        *,
        mutation: Mutation,
        version: int,
    ) -> int:
        """Deletes what ``check`` lets pass.

        Returns the environment's revision, 0 for what SDKs do not see.
        """

        async def plan() -> Sequence[ItemChange[R]]:
            current = await self._resources.get(kind, target.scope_id, target.key)
            check(current.content)
            return [ItemChange(kind, "delete", current, None, expected_version=version)]

        committed = await self._changes.commit(target.scope_id, plan, mutation, latest=version == 0)
        return committed.revision

    async def roll_back(
        self,
        kind: Kind[R],
        target: Target,
        to_version: int,
        *,
        mutation: Mutation,
        version: int,
    ) -> Stored[R]:
        """Stores an earlier version again, as a new one; a deleted resource comes back.

        Raises `FailedPrecondition` for a version that is a deletion, `StaleVersion`.
        """

        async def plan() -> Sequence[ItemChange[R]]:
            scope_id, key = target.scope_id, target.key
            earlier = await self._resources.version(kind, scope_id, key, to_version)
            newest = (await self._resources.history(kind, scope_id, key, 1, "")).items[0]
            return [rolled_back(kind, earlier, newest, version)]

        noted = with_note(mutation, f"to version {to_version}")
        committed = await self._changes.commit(target.scope_id, plan, noted, latest=version == 0)
        return only(committed)


def rolled_back(
    kind: Kind[R], earlier: Version[R], newest: Version[R], version: int
) -> ItemChange[R]:
    """Returns the change by which ``earlier`` follows ``newest``, unless that is another one.

    Raises `FailedPrecondition` for a version that is a deletion, `StaleVersion`.
    """
    if earlier.stored is None:
        raise FailedPrecondition(f"version {earlier.version} is a deletion; name another one")
    if version not in {0, newest.version}:
        raise StaleVersion(
            f"the current version is {newest.version}, not {version}",
            current_version=str(newest.version),
        )
    content = earlier.stored.content
    if newest.stored is None:
        return ItemChange(kind, ROLLBACK, None, content, restores_version=newest.version)
    return ItemChange(kind, ROLLBACK, newest.stored, content)
