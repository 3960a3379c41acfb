"""The one way from an operator's edits to a commit: checked, retried, announced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from services.api.changes.edits import Mutation, Planned
from services.api.changes.effects import CommitHooks
from services.api.changes.integrity import check_integrity
from services.api.changes.references import ReferenceGraph, needs_graph
from services.runtime.errors import AlreadyExists, StaleVersion, Unavailable
from services.storage.model.changes import AnyItemChange, Change, Committed, ItemChange
from services.storage.ports.definitions import DefinitionStore
from services.storage.ports.resources import Resources, RevisionMoved

ATTEMPTS: Final = 5
"""Of one change, while others change the environment at the same time."""

Plan = Callable[[], Awaitable[Sequence[Planned]]]
"""Reads the resources as they are now and says what shall become of them."""


class Changes:
    """Commits changes of resources of any kind, and tells of those that SDKs see."""

    def __init__(
        self, resources: Resources, definitions: DefinitionStore, effects: CommitHooks
    ) -> None:
        self._resources = resources
        self._definitions = definitions
        self._effects = effects

    async def commit(
        self, scope_id: str, plan: Plan, mutation: Mutation, *, latest: bool = False
    ) -> Committed:
        """The outcome: resources that were written, in order, and those that were not.

        ``latest`` says that the change is meant for whichever version is current: when
        another write comes between, it is planned anew.
        """
        resources, options = self._resources, mutation.options
        earlier = await resources.find_committed(scope_id, options)
        if earlier is not None:
            return earlier
        try:
            return await self._commit(scope_id, plan, mutation, latest=latest)
        except (StaleVersion, AlreadyExists):
            # Of two at once with one request id, one may fail on what the other has done.
            earlier = await resources.find_committed(scope_id, options)
            if earlier is None:
                raise
            return earlier

    async def _commit(
        self, scope_id: str, plan: Plan, mutation: Mutation, *, latest: bool
    ) -> Committed:
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(scope_id, await plan(), mutation)
            except RevisionMoved:
                continue
            except StaleVersion:
                if not latest:
                    raise
        raise Unavailable(f"'{scope_id}' is changing too often; try again")

    async def _attempt(
        self, scope_id: str, planned: Sequence[Planned], mutation: Mutation
    ) -> Committed:
        items = tuple(each for each in planned if isinstance(each, ItemChange))
        change = Change(
            scope_id=scope_id,
            actor=mutation.actor,
            items=items,
            comment=mutation.comment,
            options=mutation.options,
            expected_revision=await self._check(scope_id, items),
            unchanged=tuple(each for each in planned if not isinstance(each, ItemChange)),
        )
        committed = await self._resources.commit(change)
        synced = any(item.kind.synced for item in items)
        if synced and not mutation.options.validate_only:
            await self._effects.committed(change, committed)
        return committed

    async def _check(self, scope_id: str, items: Sequence[AnyItemChange]) -> int | None:
        """The revision that the checks saw, if they had to look."""
        synced = [item for item in items if item.kind.synced]
        if not needs_graph(synced):
            return None
        definitions = await self._definitions.read_definitions(scope_id)
        check_integrity(synced, ReferenceGraph(definitions.flags, definitions.segments, synced))
        return definitions.revision
