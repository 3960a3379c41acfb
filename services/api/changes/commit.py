"""The one way from an operator's edits to a commit: checked, retried, announced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from services.api.changes.edits import Edit, Mutation
from services.api.changes.effects import CommitHooks
from services.api.changes.integrity import check_integrity
from services.api.changes.references import ReferenceGraph, needs_graph
from services.runtime.errors import MeshError, StaleVersion, Unavailable
from services.storage.model.changes import Change, Committed
from services.storage.ports.items import RevisionMoved
from services.storage.ports.store import Store

ATTEMPTS: Final = 5
"""Of one change, while others change the environment at the same time."""

Plan = Callable[[], Awaitable[Sequence[Edit]]]
"""Reads the items as they are now and says what shall become of them."""


class Changes:
    """Commits edits, and tells of each commit."""

    def __init__(self, store: Store, effects: CommitHooks) -> None:
        self._store = store
        self._effects = effects

    async def commit(
        self, environment_id: str, plan: Plan, mutation: Mutation, *, latest: bool = False
    ) -> Committed:
        """The outcome: records of the edits that write, in order, and of those that do not.

        ``latest`` says that the edits are meant for whichever version is current: when
        another write comes between, they are planned anew.
        """
        items, request = self._store.items, mutation.request
        earlier = await items.find_committed(environment_id, request)
        if earlier is not None:
            return earlier
        try:
            return await self._commit(environment_id, plan, mutation, latest=latest)
        except MeshError:
            # Of two at once with one request id, one may fail on what the other has done.
            earlier = await items.find_committed(environment_id, request)
            if earlier is None:
                raise
            return earlier

    async def _commit(
        self, environment_id: str, plan: Plan, mutation: Mutation, *, latest: bool
    ) -> Committed:
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(environment_id, await plan(), mutation)
            except RevisionMoved:
                continue
            except StaleVersion:
                if not latest:
                    raise
        raise Unavailable(f"environment '{environment_id}' is changing too often; try again")

    async def _attempt(
        self, environment_id: str, edits: Sequence[Edit], mutation: Mutation
    ) -> Committed:
        writing = [edit for edit in edits if edit.writes]
        change = Change(
            environment_id=environment_id,
            actor=mutation.actor,
            writes=tuple(edit.write() for edit in writing),
            comment=mutation.comment,
            request=mutation.request,
            based_on=await self._check(environment_id, writing),
            kept=tuple(edit.after for edit in edits if edit.after and not edit.writes),
        )
        committed = await self._store.items.commit(change)
        if writing and not mutation.request.validate_only:
            await self._effects.committed(change, committed)
        return committed

    async def _check(self, environment_id: str, edits: Sequence[Edit]) -> int | None:
        """The revision that the checks saw, if they had to look."""
        if not needs_graph(edits):
            return None
        definitions = await self._store.definitions.read_definitions(environment_id)
        check_integrity(edits, ReferenceGraph(definitions.flags, definitions.segments, edits))
        return definitions.revision
