"""The one way from an operator's changes to a commit: checked, retried, announced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from services.api.changes.hooks import CommitHooks
from services.api.changes.integrity import check_integrity
from services.api.changes.references import ReferenceGraph, needs_graph
from services.api.rpc.call import Mutation
from services.runtime.errors import AlreadyExists, NotFound, StaleVersion, Unavailable
from services.storage.model.changes import AnyItemChange, Change, Committed
from services.storage.model.resource import AnyStored
from services.storage.ports.definitions import DefinitionStore
from services.storage.ports.resources import Resources, RevisionMoved

ATTEMPTS: Final = 5
"""Number of attempts at one change, while others change the environment at the same time."""

Plan = Callable[[], Awaitable[Sequence[AnyItemChange]]]
"""Reads the resources as they are now and says what shall become of them.

A change whose ``after`` is its ``before``'s content belongs to the outcome and writes nothing.
"""


class Changes:
    """Commits changes of any kinds, and tells of each commit."""

    def __init__(
        self, resources: Resources, definitions: DefinitionStore, hooks: CommitHooks
    ) -> None:
        self._resources = resources
        self._definitions = definitions
        self._hooks = hooks

    async def commit(
        self, scope_id: str, plan: Plan, mutation: Mutation, *, latest: bool = False
    ) -> Committed:
        """Commits what ``plan`` says, in one transaction.

        ``latest`` says that the changes are meant for whichever version is current: when
        another write comes between, they are planned anew. Raises what
        `Resources.commit` raises, and `FailedPrecondition` for broken references.
        """
        earlier = await self._resources.find_committed(scope_id, mutation.options)
        if earlier is not None:
            return earlier
        try:
            return await self._retried(scope_id, plan, mutation, latest=latest)
        except (StaleVersion, AlreadyExists, NotFound):
            # Of two at once with one request id, one may fail on what the other has done.
            earlier = await self._resources.find_committed(scope_id, mutation.options)
            if earlier is None:
                raise
            return earlier

    async def _retried(
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
        self, scope_id: str, planned: Sequence[AnyItemChange], mutation: Mutation
    ) -> Committed:
        writing = tuple(each for each in planned if not _keeps(each))
        change = Change(
            scope_id=scope_id,
            actor=mutation.actor,
            items=writing,
            comment=mutation.comment,
            options=mutation.options,
            expected_revision=await self._check(scope_id, writing),
            unchanged=tuple(_kept(planned)),
        )
        committed = await self._resources.commit(change)
        if committed.since and not mutation.options.validate_only:
            await self._hooks.committed(change, committed)
        return committed

    async def _check(self, scope_id: str, changes: Sequence[AnyItemChange]) -> int | None:
        """Returns the revision that the checks of references saw, if they had to look."""
        if not needs_graph(changes):
            return None
        definitions = await self._definitions.read_definitions(scope_id)
        check_integrity(changes, ReferenceGraph(definitions.flags, definitions.segments, changes))
        return definitions.revision


def only(committed: Committed) -> AnyStored:
    """Returns the one resource of a change that deletes nothing."""
    (stored,) = committed.resources or committed.unchanged
    if stored is None:
        raise TypeError("a change was answered with a deletion")
    return stored


def _keeps(change: AnyItemChange) -> bool:
    return change.before is not None and change.after is change.before.content


def _kept(planned: Sequence[AnyItemChange]) -> list[AnyStored]:
    return [each.before for each in planned if each.before is not None and _keeps(each)]
