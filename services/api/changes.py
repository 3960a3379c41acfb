"""The one way from an operator's edits to a commit: checked, retried, announced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from services.api.edits import Edit, Mutation, named
from services.api.integrity import check_integrity
from services.api.references import Surroundings, needs_surroundings
from services.runtime.errors import AlreadyExists, NotFound, StaleVersion, Unavailable
from services.storage.model import Change, Committed, FlagRecord, Record, SegmentRecord, Write
from services.storage.ports import RevisionMoved, Store

ATTEMPTS: Final = 5
"""Of one change, while others change the environment at the same time."""

Plan = Callable[[], Awaitable[Sequence[Edit]]]
"""Reads the items as they are now and says what shall become of them."""


class Changes:
    """Commits edits. ``announce`` is called after each commit, to wake the relay."""

    def __init__(self, store: Store, announce: Callable[[], None]) -> None:
        self._store = store
        self._announce = announce

    async def commit(
        self, environment_id: str, plan: Plan, mutation: Mutation, *, latest: bool = False
    ) -> Committed:
        """The outcome, with a record for each edit, in order.

        ``latest`` says that the edits are meant for whichever version is current: when
        another write comes between, they are planned anew.
        """
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(environment_id, await plan(), mutation)
            except RevisionMoved:
                continue
            except StaleVersion:
                if not latest:
                    raise
        raise Unavailable(f"environment '{environment_id}' is changing too often; try again")

    async def delete(
        self,
        environment_id: str,
        plan: Plan,
        mutation: Mutation,
        *,
        gone: Record,
        latest: bool = False,
    ) -> int:
        """The revision of the tombstone. ``gone`` stands for an item that is not there.

        Only the store knows the ids of earlier requests: a repeated delete, which finds
        nothing to delete, must still be put before it.
        """
        try:
            return (await self.commit(environment_id, plan, mutation, latest=latest)).revision
        except NotFound as missing:
            if not mutation.request_id or mutation.validate_only:
                raise
            change = Change(
                environment_id=environment_id,
                actor=mutation.actor,
                writes=(Write("delete", gone, None),),
                request_id=mutation.request_id,
            )
            try:
                return (await self._store.items.commit(change)).revision
            except StaleVersion:
                raise missing from None

    async def _attempt(
        self, environment_id: str, edits: Sequence[Edit], mutation: Mutation
    ) -> Committed:
        writing = [edit for edit in edits if edit.writes]
        if not writing:
            environment = await self._store.tenancy.get_environment(environment_id)
            return Committed(environment.revision, tuple(edit.after for edit in edits))
        based_on = await self._check(environment_id, writing)
        if mutation.validate_only:
            return await self._rehearse(environment_id, edits)
        change = Change(
            environment_id=environment_id,
            actor=mutation.actor,
            writes=tuple(edit.write() for edit in writing),
            comment=mutation.comment,
            request_id=mutation.request_id,
            based_on=based_on,
        )
        committed = await self._store.items.commit(change)
        self._announce()
        return _with_unwritten(edits, committed)

    async def _check(self, environment_id: str, edits: Sequence[Edit]) -> int | None:
        """The revision that the checks saw, if they had to look."""
        if not needs_surroundings(edits):
            return None
        definitions = await self._store.definitions.read_definitions(environment_id)
        check_integrity(edits, Surroundings(definitions.flags, definitions.segments, edits))
        return definitions.revision

    async def _rehearse(self, environment_id: str, edits: Sequence[Edit]) -> Committed:
        """As the store would answer; revisions are 0, for only a commit makes one."""
        environment = await self._store.tenancy.get_environment(environment_id)
        current = await self._current(environment_id, edits)
        return Committed(
            environment.revision,
            tuple(_rehearsed(edit, current.get(_place(edit))) for edit in edits),
        )

    async def _current(
        self, environment_id: str, edits: Sequence[Edit]
    ) -> dict[tuple[bool, str], Record]:
        places = [_place(edit) for edit in edits]
        items = self._store.items
        found: dict[tuple[bool, str], Record] = {}
        if flags := [key for is_flag, key in places if is_flag]:
            for flag in await items.find_flags(environment_id, flags):
                found[True, flag.item.key] = flag
        if segments := [key for is_flag, key in places if not is_flag]:
            for segment in await items.find_segments(environment_id, segments):
                found[False, segment.item.key] = segment
        return found


def _record(edit: Edit) -> Record:
    record = edit.after or edit.before
    if record is None:
        raise ValueError("an edit of nothing")
    return record


def _place(edit: Edit) -> tuple[bool, str]:
    record = _record(edit)
    return isinstance(record, FlagRecord), record.item.key


def _rehearsed(edit: Edit, current: Record | None) -> Record | None:
    if not edit.writes:
        return edit.after
    if edit.before is None:
        if current is not None:
            raise AlreadyExists(f"{named(current)} exists already")
        return _versioned(edit.after, 1)
    if current is None:
        raise NotFound(f"{named(edit.before)} does not exist")
    if current.item.version != edit.before.item.version:
        raise StaleVersion(
            f"{named(current)} has changed", current_version=str(current.item.version)
        )
    return _versioned(edit.after, current.item.version + 1)


def _versioned(record: Record | None, version: int) -> Record | None:
    if isinstance(record, FlagRecord):
        return replace(record, item=replace(record.item, version=version, revision=0))
    if isinstance(record, SegmentRecord):
        return replace(record, item=replace(record.item, version=version, revision=0))
    return None


def _with_unwritten(edits: Sequence[Edit], committed: Committed) -> Committed:
    if len(committed.records) == len(edits):
        return committed
    stored = iter(committed.records)
    records = tuple(next(stored, None) if edit.writes else edit.after for edit in edits)
    return replace(committed, records=records)
