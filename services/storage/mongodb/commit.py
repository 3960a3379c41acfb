"""The one way to write flags and segments: a single transaction for a whole change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import TypeVar
from uuid import uuid4

from pymongo.errors import BulkWriteError

from services.runtime.errors import AlreadyExists, InvalidArgument, NotFound, StaleVersion
from services.storage.model import Change, Committed
from services.storage.mongodb.connection import Connection, Document
from services.storage.mongodb.errors import DUPLICATE_KEY, first_write_error
from services.storage.mongodb.tenancy import milliseconds
from services.storage.mongodb.transactions import Session
from services.storage.mongodb.writes import (
    COLLECTIONS,
    Head,
    Outcome,
    Target,
    in_safe_order,
    outcome_of,
    record_json,
    record_of,
    targets_of,
)
from services.storage.ports import RevisionMoved

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
        replayed = await self._replay(session)
        if replayed is not None:
            return replayed
        # First of all writes: two changes of one environment collide here, so everything
        # below is read and written by one change at a time.
        revision = await self._raise_revision(session)
        heads = await self._heads(session)
        outcomes = [
            outcome_of(target, heads.get((target.kind, target.document_id)), self._change, revision)
            for target in self._targets
        ]
        for kind in COLLECTIONS:
            await self._write_items(kind, outcomes, session)
        await self._insert("item_history", self._history(outcomes), session)
        await self._insert("audit_log", self._audit(outcomes, revision), session)
        await self._insert("outbox", [self._announcement(revision)], session)
        if self._change.request_id:
            await self._insert("requests", [self._request(revision)], session)
        return Committed(revision, tuple(outcome.record() for outcome in outcomes))

    async def _replay(self, session: Session) -> Committed | None:
        if not self._change.request_id:
            return None
        request = await self._connection["requests"].find_one(
            {"_id": self._request_document_id()}, session=session
        )
        if request is None:
            return None
        if request.get("writes") != self._fingerprint():
            text = "was used for another change within the last 24 hours"
            raise InvalidArgument.of("options.request_id", text)
        query = {"environment": self._change.environment_id, "revision": request["revision"]}
        history = self._connection["item_history"].find(query, session=session)
        entries = await history.sort("position", 1).to_list(None)
        records = tuple(record_of(entry["kind"], entry["document"]) for entry in entries)
        return Committed(request["revision"], records, replayed=True)

    async def _raise_revision(self, session: Session) -> int:
        now = milliseconds(self._connection)
        raised = {"$max": [now, {"$add": ["$revision", 1]}]}
        before = await self._connection["environments"].find_one_and_update(
            {"_id": self._change.environment_id},
            [{"$set": {"revision": raised}}],
            projection={"revision": 1},
            session=session,
        )
        if before is None:
            raise NotFound(f"environment {self._change.environment_id!r} does not exist")
        previous: int = before["revision"]
        based_on = self._change.based_on
        if based_on is not None and based_on != previous:
            message = f"the environment is at revision {previous}, not {based_on}"
            raise RevisionMoved(message, current_revision=str(previous))
        return max(now, previous + 1)

    async def _heads(self, session: Session) -> dict[tuple[str, str], Head]:
        heads: dict[tuple[str, str], Head] = {}
        for kind, collection in COLLECTIONS.items():
            ids = [target.document_id for target in self._targets if target.kind == kind]
            for chunk in _chunks(ids):
                cursor = self._connection[collection].find(
                    {"_id": {"$in": chunk}}, {"version": 1, "deleted": 1}, session=session
                )
                for found in await cursor.to_list(len(chunk)):
                    heads[kind, found["_id"]] = Head(found["version"], found["deleted"])
        return heads

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

    def _history(self, outcomes: list[Outcome]) -> list[Document]:
        return [
            {
                "_id": _history_id(outcome.target, outcome.document["version"]),
                "environment": self._change.environment_id,
                "kind": outcome.target.kind,
                "item": outcome.target.item,
                "version": outcome.document["version"],
                "revision": outcome.document["revision"],
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

    def _request(self, revision: int) -> Document:
        return {
            "_id": self._request_document_id(),
            "revision": revision,
            "writes": self._fingerprint(),
            "created_at": self._connection.now(),
        }

    def _fingerprint(self) -> str:
        """Tells changes apart that name one request: what is done to which items."""
        lines = (f"{target.write.operation} {target.label}" for target in self._targets)
        return sha256("\n".join(lines).encode()).hexdigest()

    def _request_document_id(self) -> str:
        return f"{self._change.environment_id}/{self._change.request_id}"

    async def _insert(self, collection: str, documents: list[Document], session: Session) -> None:
        for chunk in _chunks(documents):
            await self._connection[collection].insert_many(chunk, session=session)


def _history_id(target: Target, version: int) -> str:
    return f"{target.document_id}/{target.kind}/{version}"


def _chunks(rows: Sequence[T]) -> Iterator[list[T]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
