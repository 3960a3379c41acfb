"""What MongoDB itself says: its items and their history, and when each change was committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from services.storage.mongodb.resources.deltas import apply
from services.storage.mongodb.resources.documents import flag_of, segment_of
from tests.chaos.check import Stored
from tests.chaos.cluster import DATABASE, Cluster
from tests.chaos.history import Commit, Environment, Item, ItemKey

Documents = AsyncMongoClient[dict[str, Any]]


async def read_stored(cluster: Cluster, environment: Environment) -> Stored:
    """Everything of one environment; of its history only what is not forgotten."""
    database = (await cluster.mongo.primary()).client[DATABASE]
    majority = database.with_options(read_concern=ReadConcern("majority"))
    head = await majority["environments"].find_one({"_id": environment.id})
    assert head is not None
    items: dict[ItemKey, Item] = {}
    for kind in ("flag", "segment"):
        living = {"environment": environment.id, "deleted": False}
        async for document in majority[f"{kind}s"].find(living):
            key, item = _read(kind, document)
            assert item is not None
            items[key] = item
    query = {"environment": environment.id}
    history: dict[int, Commit] = {}
    whole: dict[tuple[str, str], dict[str, Any]] = {}
    async for entry in (
        majority["item_history"].find(query).sort([("revision", 1), ("position", 1)])
    ):
        version = (entry["kind"], entry["item"])
        document = entry.get("document") or apply(whole[version], entry["delta"])
        whole[version] = document
        if entry["revision"] <= environment.first_revision:
            continue
        change = _read(entry["kind"], document)
        before = history.get(entry["revision"])
        changes = (*(before.changes if before else ()), change)
        history[entry["revision"]] = Commit(environment.name, entry["revision"], changes)
    return Stored(int(head["revision"]), items, history)


def _read(kind: str, document: Mapping[str, Any]) -> tuple[ItemKey, Item | None]:
    if kind == "flag":
        key: ItemKey = ("flag", document["key"])
        return key, None if document["deleted"] else flag_of(dict(document))
    key = ("segment", document["id"])
    return key, None if document["deleted"] else segment_of(dict(document))


class CommitWatch:
    """Notes each revision as soon as the store's majority has it.

    Writers hear of a commit later than readers may, or not before they ask again.
    """

    def __init__(self, cluster: Cluster, environments: Iterable[Environment]) -> None:
        self._client: Documents = AsyncMongoClient(
            cluster.mongo.uri, serverSelectionTimeoutMS=2_000
        )
        self._environments = {each.id: each for each in environments}
        self._token: Mapping[str, Any] | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                try:
                    await self._follow()
                except PyMongoError:
                    await asyncio.sleep(0.1)  # an election: what happened is told afterwards
        finally:
            await self._client.close()

    async def _follow(self) -> None:
        updates = [{"$match": {"operationType": "update"}}]
        watch = self._client[DATABASE]["environments"].watch
        async with await watch(updates, resume_after=self._token, max_await_time_ms=500) as stream:
            while stream.alive:
                event = await stream.try_next()
                self._token = stream.resume_token
                if event is not None:
                    self._note(event)

    def _note(self, event: Mapping[str, Any]) -> None:
        environment = self._environments.get(event["documentKey"]["_id"])
        revision = event["updateDescription"]["updatedFields"].get("revision")
        if environment is not None and revision is not None:
            environment.was_committed(int(revision), time.monotonic())
