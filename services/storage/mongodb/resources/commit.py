"""The one way to write flags and segments: a single transaction for a whole change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar
from uuid import uuid4

from pymongo.errors import BulkWriteError

from services.runtime.errors import AlreadyExists, NotFound, StaleVersion
from services.storage.model.changes import Change, Committed
from services.storage.mongodb.driver.client import Connection, Document, milliseconds, require
from services.storage.mongodb.driver.errors import DUPLICATE_KEY, first_write_error
from services.storage.mongodb.driver.transactions import Session
from services.storage.mongodb.resources.history import (
    find_committed,
    history_id,
    history_id_of,
    last_versions,
)
from services.storage.mongodb.resources.requests import remember
from services.storage.mongodb.resources.writes import (
    COLLECTIONS,
    Head,
    Outcome,
    in_safe_order,
    outcome_of,
    record_json,
    targets_of,
)
from services.storage.ports.items import RevisionMoved

T = TypeVar("T")
_CHUNK = 1_000


class Commit:
    """One change on its way; `run` is the body of its transaction and may run again."""

    def __init__(self, connection: Connection, change: Change) -> None:
        self._connection = connection
        self._change = change
        self._targets = targets_of(change)

    async def run(self, session: Session) -> Committed:
        """Write everything, or raise as `ItemStore.commit` says."""
        replayed = await find_committed(
            self._connection, self._change.environment_id, self._change.request, session
        )
        if replayed is not None:
            return replayed
        if not self._targets:
            return await self._keep(session)
        # First of all writes: two changes of one environment collide here, so everything
        # below is read and written by one change at a time.
        environment, raised = await self._raise_revision(session)
        validate_only = self._change.request.validate_only
        revision = 0 if validate_only else raised
        floor: int = environment.get("floor", 0)
        heads = await self._heads(session, compacted=floor > 0)
        outcomes = [
            outcome_of(target, heads.get((target.kind, target.item)), self._change, revision)
            for target in self._targets
        ]
        for kind in COLLECTIONS:
            await self._write_items(kind, outcomes, session)
        await self._insert("item_history", self._history(outcomes, environment), session)
        await self._insert("audit_log", self._audit(outcomes, revision), session)
        await self._insert("outbox", [self._announcement(revision)], session)
        await self._remember({"revision": revision, "changed": True}, session)
        records = tuple(outcome.record() for outcome in outcomes)
        since: int = environment["revision"]
        if validate_only:
            return Committed(since, records, self._change.kept)
        return Committed(revision, records, self._change.kept, since=since, floor=floor)

    async def _keep(self, session: Session) -> Committed:
        """Nothing is written but the request, whose outcome are the items as they are."""
        environment_id = self._change.environment_id
        environment = await require(self._connection, "environments", environment_id, session)
        revision: int = environment["revision"]
        await self._remember({"revision": revision, "changed": False}, session)
        return Committed(revision, (), self._change.kept)

    async def _remember(self, outcome: Document, session: Session) -> None:
        if self._change.request.id:
            kept = [history_id_of(self._change.environment_id, each) for each in self._change.kept]
            scope = self._change.environment_id
            request = self._change.request
            await remember(self._connection, scope, request, outcome | {"kept": kept}, session)

    async def _raise_revision(self, session: Session) -> tuple[Document, int]:
        """The environment as it was, and its new revision."""
        now = milliseconds(self._connection)
        raised = {"$max": [now, {"$add": ["$revision", 1]}]}
        environment = await self._connection["environments"].find_one_and_update(
            {"_id": self._change.environment_id},
            [{"$set": {"revision": raised}}],
            projection={"revision": 1, "floor": 1},
            session=session,
        )
        if environment is None:
            raise NotFound(f"environment {self._change.environment_id!r} does not exist")
        previous: int = environment["revision"]
        based_on = self._change.based_on
        if based_on is not None and based_on != previous:
            message = f"the environment is at revision {previous}, not {based_on}"
            raise RevisionMoved(message, current_revision=str(previous))
        return environment, max(now, previous + 1)

    async def _heads(self, session: Session, *, compacted: bool) -> dict[tuple[str, str], Head]:
        """By kind and item; those whose tombstones are ``compacted`` from their history."""
        heads: dict[tuple[str, str], Head] = {}
        for kind in COLLECTIONS:
            items = [target.item for target in self._targets if target.kind == kind]
            for chunk in _chunks(items):
                heads |= await self._stored_heads(kind, chunk, session)
            if compacted:
                missing = [item for item in items if (kind, item) not in heads]
                for chunk in _chunks(missing):
                    heads |= await self._compacted_heads(kind, chunk, session)
        return heads

    async def _stored_heads(
        self, kind: str, items: list[str], session: Session
    ) -> dict[tuple[str, str], Head]:
        ids = {f"{self._change.environment_id}/{item}": item for item in items}
        cursor = self._connection[COLLECTIONS[kind]].find(
            {"_id": {"$in": list(ids)}}, {"version": 1, "deleted": 1}, session=session
        )
        return {
            (kind, ids[found["_id"]]): Head(found["version"], found["deleted"])
            for found in await cursor.to_list(len(ids))
        }

    async def _compacted_heads(
        self, kind: str, items: list[str], session: Session
    ) -> dict[tuple[str, str], Head]:
        environment_id = self._change.environment_id
        versions = await last_versions(self._connection, environment_id, kind, items, session)
        return {
            (kind, item): Head(version, deleted=True, compacted=True)
            for item, version in versions.items()
        }

    async def _write_items(self, kind: str, outcomes: list[Outcome], session: Session) -> None:
        of_kind = [outcome for outcome in outcomes if outcome.target.kind == kind]
        for chunk in _chunks(in_safe_order(of_kind)):
            operations = [outcome.operation() for outcome in chunk]
            try:
                result = await self._connection[COLLECTIONS[kind]].bulk_write(
                    operations, session=session
                )
            except BulkWriteError as error:
                failure = first_write_error(error)
                if failure.get("code") != DUPLICATE_KEY:
                    raise
                taken = chunk[failure["index"]].target
                raise AlreadyExists(f"{taken.label} already exists") from None
            if result.inserted_count + result.matched_count != len(chunk):
                raise StaleVersion(f"a {kind} changed while it was written")

    def _history(self, outcomes: list[Outcome], before: Document) -> list[Document]:
        return [
            {
                "_id": history_id(
                    self._change.environment_id,
                    outcome.target.kind,
                    outcome.target.item,
                    outcome.document["version"],
                ),
                "environment": self._change.environment_id,
                "kind": outcome.target.kind,
                "item": outcome.target.item,
                "version": outcome.document["version"],
                "revision": outcome.document["revision"],
                "previous": before["revision"],
                "floor": before.get("floor", 0),
                "position": position,
                "document": outcome.document,
            }
            for position, outcome in enumerate(outcomes)
        ]

    def _audit(self, outcomes: list[Outcome], revision: int) -> list[Document]:
        time = self._connection.now()
        return [
            {
                "_id": str(uuid4()),
                "environment": self._change.environment_id,
                "time": time,
                "actor": self._change.actor,
                "resource": outcome.target.label,
                "operation": outcome.target.write.operation,
                "comment": self._change.comment,
                "revision": revision,
                "position": position,
                "before": record_json(outcome.target.write.before),
                "after": record_json(outcome.record()),
            }
            for position, outcome in enumerate(outcomes)
        ]

    def _announcement(self, revision: int) -> Document:
        environment_id = self._change.environment_id
        return {"_id": str(uuid4()), "environment": environment_id, "revision": revision}

    async def _insert(self, collection: str, documents: list[Document], session: Session) -> None:
        for chunk in _chunks(documents):
            await self._connection[collection].insert_many(chunk, session=session)


def _chunks(rows: Sequence[T]) -> Iterator[list[T]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
