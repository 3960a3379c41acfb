"""Committed changes that wait for their announcement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.storage.model.changes import OutboxBacklog, OutboxEntry
from services.storage.mongodb.driver.client import Part
from services.storage.mongodb.driver.errors import translated

COUNTED: Final = 10_000


class MongoOutbox(Part):
    """`OutboxStore` on MongoDB."""

    @translated
    async def list_outbox(self, limit: int) -> list[OutboxEntry]:
        # A revision is a time that never steps back, which the clock may.
        oldest_first = [("revision", 1), ("_id", 1)]
        cursor = self._connection["outbox"].find().sort(oldest_first).limit(limit)
        return [
            OutboxEntry(document["_id"], document["environment"], document["revision"])
            for document in await cursor.to_list(limit)
        ]

    @translated
    async def measure_outbox(self) -> OutboxBacklog:
        outbox = self._connection["outbox"]
        oldest = await outbox.find_one(sort=[("revision", 1)])
        count = await outbox.count_documents({}, limit=COUNTED)
        return OutboxBacklog(count, oldest["revision"] if oldest else None)

    @translated
    async def delete_outbox(self, ids: Sequence[str]) -> None:
        await self._connection["outbox"].delete_many({"_id": {"$in": list(ids)}})
