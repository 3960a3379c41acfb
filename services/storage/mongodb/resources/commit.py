"""The one way to write resources of all kinds: a single transaction for a whole change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar
from uuid import uuid4

from pymongo.errors import BulkWriteError

from services.runtime.errors import AlreadyExists, NotFound, StaleVersion
from services.storage.model.changes import Change, Committed
from services.storage.model.resource import Ancestry, AnyKind, Scope
from services.storage.mongodb.driver.client import Connection, Document, milliseconds
from services.storage.mongodb.driver.errors import DUPLICATE_KEY, first_write_error
from services.storage.mongodb.driver.transactions import Session
from services.storage.mongodb.resources.audit import audit_document
from services.storage.mongodb.resources.history import (
    CHAIN,
    collection_of,
    find_committed,
    history_id,
    last_versions,
    scope_query,
)
from services.storage.mongodb.resources.lifecycle import after_creation, before_deletion
from services.storage.mongodb.resources.outcomes import (
    Head,
    Moment,
    Outcome,
    in_safe_order,
    outcome_of,
    targets_of,
)
from services.storage.mongodb.resources.requests import remember
from services.storage.mongodb.resources.scopes import (
    ANCESTRY_FIELDS,
    ancestry_of,
    hold,
    level_of,
    require_scope,
)
from services.storage.ports.resources import RevisionMoved

T = TypeVar("T")
_CHUNK = 1_000
_HEAD = {"version": 1, "deleted": 1, CHAIN: 1, "created_at": 1, "created_by": 1}


_NO_ENVIRONMENT: Final[Document] = {}
"""Stands for the environment of a change at another scope."""


class Commit:
    """One change on its way; `run` is the body of its transaction and may run again."""

    def __init__(self, connection: Connection, change: Change) -> None:
        self._connection = connection
        self._change = change
        self._targets = targets_of(change)
        every = [item.kind for item in change.items] or [one.kind for one in change.unchanged]
        self._kinds = list(dict.fromkeys(every))
        if len({(level_of(kind, change.scope_id), kind.synced) for kind in every}) != 1:
            raise ValueError("a change is of resources of one scope, all synced or none")
        self._synced = self._kinds[0].synced
        self._level = level_of(self._kinds[0], change.scope_id)

    async def run(self, session: Session) -> Committed:
        """Write everything, or raise as `Resources.commit` says."""
        change = self._change
        replayed = await find_committed(self._connection, change.scope_id, change.options, session)
        if replayed is not None:
            return replayed
        if not self._targets:
            return await self._keep(session)
        # First of all writes: two changes of one scope collide here, so everything below is
        # read and written by one change at a time.
        if self._synced:
            return await self._write_synced(session)
        scope = await hold(self._connection, self._level, change.scope_id, session)
        outcomes = await self._write(session, scope, 0, _NO_ENVIRONMENT)
        await self._remember({"revision": 0, "entries": list(map(_entry_id, outcomes))}, session)
        return Committed(0, tuple(each.stored() for each in outcomes), change.unchanged)

    async def _write_synced(self, session: Session) -> Committed:
        environment, raised = await self._raise_revision(session)
        validate_only = self._change.options.validate_only
        revision = 0 if validate_only else raised
        floor: int = environment.get("floor", 0)
        scope = ancestry_of(Scope.ENVIRONMENT, environment)
        outcomes = await self._write(session, scope, revision, environment)
        await self._insert("outbox", [self._announcement(revision)], session)
        await self._remember({"revision": revision, "changed": True}, session)
        resources = tuple(outcome.stored() for outcome in outcomes)
        since: int = environment["revision"]
        if validate_only:
            return Committed(since, resources, self._change.unchanged)
        return Committed(revision, resources, self._change.unchanged, since=since, floor=floor)

    async def _write(
        self, session: Session, scope: Ancestry, revision: int, before: Document
    ) -> list[Outcome]:
        """Items, their history and audit; ``revision`` is 0 for kinds that have none."""
        change = self._change
        moment = Moment(self._connection.now(), change.actor, revision)
        heads = await self._heads(session, compacted=before.get("floor", 0) > 0)
        outcomes = [
            outcome_of(target, heads.get((target.kind.name, target.id)), change.scope_id, moment)
            for target in self._targets
        ]
        for outcome in outcomes:
            await self._follow(outcome, scope, session)
        for kind in self._kinds:
            await self._write_items(kind, outcomes, session)
        history = [
            self._entry(position, outcome, moment, before)
            for position, outcome in enumerate(outcomes)
            if outcome.target.kind.versioned
        ]
        await self._insert(collection_of(self._kinds[0]), history, session)
        audit = [
            audit_document(change, outcome, scope, moment, position)
            for position, outcome in enumerate(outcomes)
        ]
        await self._insert("audit_log", audit, session)
        return outcomes

    async def _follow(self, outcome: Outcome, scope: Ancestry, session: Session) -> None:
        """What the life of a scope brings with it: more fields, or the end of what it held."""
        target = outcome.target
        if target.kind.opens is None:
            return
        if outcome.head is None:
            after_creation(self._connection, target.kind, outcome.document, scope)
        elif outcome.is_deletion:
            await before_deletion(self._connection, target, session)

    async def _keep(self, session: Session) -> Committed:
        """Nothing is written but the request, whose outcome are the resources as they are."""
        change = self._change
        scope = await require_scope(self._connection, self._level, change.scope_id, session)
        revision: int = scope["revision"] if self._synced else 0
        outcome: Document = {"changed": False} if self._synced else {"entries": []}
        await self._remember({"revision": revision, **outcome}, session)
        return Committed(revision, (), change.unchanged)

    async def _remember(self, outcome: Document, session: Session) -> None:
        change = self._change
        if change.options.request_id:
            kept = [
                history_id(each.kind, each.meta.id, each.meta.version) for each in change.unchanged
            ]
            whole = outcome | {"kept": kept}
            await remember(self._connection, change.scope_id, change.options, whole, session)

    async def _raise_revision(self, session: Session) -> tuple[Document, int]:
        """The environment as it was, and its new revision."""
        now = milliseconds(self._connection)
        raised = {"$max": [now, {"$add": ["$revision", 1]}]}
        environment = await self._connection["environments"].find_one_and_update(
            {"_id": self._change.scope_id},
            [{"$set": {"revision": raised}}],
            projection={"revision": 1, "floor": 1, **ANCESTRY_FIELDS},
            session=session,
        )
        if environment is None:
            raise NotFound(f"environment {self._change.scope_id!r} does not exist")
        previous: int = environment["revision"]
        expected = self._change.expected_revision
        if expected is not None and expected != previous:
            message = f"the environment is at revision {previous}, not {expected}"
            raise RevisionMoved(message, current_revision=str(previous))
        return environment, max(now, previous + 1)

    async def _heads(self, session: Session, *, compacted: bool) -> dict[tuple[str, str], Head]:
        """By kind and id; those whose tombstones are ``compacted`` from their history."""
        heads: dict[tuple[str, str], Head] = {}
        for kind in self._kinds:
            # What is new and has an id of its own has no head.
            ids = [
                target.id
                for target in self._targets
                if target.kind is kind and (kind.local_id or target.change.before)
            ]
            for chunk in _chunks(ids):
                heads |= await self._stored_heads(kind, chunk, session)
            if compacted and kind.synced:
                missing = [each for each in ids if (kind.name, each) not in heads]
                for chunk in _chunks(missing):
                    heads |= await self._compacted_heads(kind, chunk, session)
        return heads

    async def _stored_heads(
        self, kind: AnyKind, ids: list[str], session: Session
    ) -> dict[tuple[str, str], Head]:
        fields = _HEAD if kind.synced else None
        cursor = self._connection[kind.collection].find(
            {"_id": {"$in": ids}}, fields, session=session
        )
        found = await cursor.to_list(len(ids))
        return {(kind.name, each["_id"]): Head(each) for each in found}

    async def _compacted_heads(
        self, kind: AnyKind, ids: list[str], session: Session
    ) -> dict[tuple[str, str], Head]:
        scope_id = self._change.scope_id
        items = [each.removeprefix(f"{scope_id}/") for each in ids]
        last = await last_versions(self._connection, kind, scope_id, items, session)
        return {
            (kind.name, f"{scope_id}/{item}"): Head(tombstone, compacted=True)
            for item, tombstone in last.items()
        }

    async def _write_items(self, kind: AnyKind, outcomes: list[Outcome], session: Session) -> None:
        of_kind = [outcome for outcome in outcomes if outcome.target.kind is kind]
        for chunk in _chunks(in_safe_order(of_kind)):
            operations = [outcome.operation() for outcome in chunk]
            try:
                result = await self._connection[kind.collection].bulk_write(
                    operations, session=session
                )
            except BulkWriteError as error:
                failure = first_write_error(error)
                if failure.get("code") != DUPLICATE_KEY:
                    raise
                taken = chunk[failure["index"]].target
                raise AlreadyExists(f"{taken.label} already exists") from None
            done = result.inserted_count + result.matched_count + result.deleted_count
            if done != len(chunk):
                raise StaleVersion(f"a {kind.label} changed while it was written")

    def _entry(self, position: int, outcome: Outcome, moment: Moment, before: Document) -> Document:
        target, document = outcome.target, outcome.document
        of_kind: Document = {"time": moment.time}
        if target.kind.synced:
            of_kind = {
                "revision": moment.revision,
                "previous": before["revision"],
                "floor": before.get("floor", 0),
                "position": position,
            }
        return {
            "_id": _entry_id(outcome),
            **scope_query(target.kind, self._change.scope_id),
            "kind": target.kind.name,
            "item": target.item,
            "key": target.key,
            "version": document["version"],
            **of_kind,
            **outcome.entry.fields(),
        }

    def _announcement(self, revision: int) -> Document:
        environment_id = self._change.scope_id
        return {"_id": str(uuid4()), "environment": environment_id, "revision": revision}

    async def _insert(self, collection: str, documents: list[Document], session: Session) -> None:
        for chunk in _chunks(documents):
            await self._connection[collection].insert_many(chunk, session=session)


def _entry_id(outcome: Outcome) -> str:
    return history_id(outcome.target.kind, outcome.target.id, outcome.document["version"])


def _chunks(rows: Sequence[T]) -> Iterator[list[T]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
