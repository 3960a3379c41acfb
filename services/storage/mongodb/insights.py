"""End users, events and their hourly roll-ups."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from pymongo import UpdateOne

from featmesh.engine.model import Context
from services.storage.model import EndUser, EvaluationCount, InsightBatch, Page
from services.storage.mongodb.connection import (
    Connection,
    Document,
    Part,
    require,
    whole_milliseconds,
)
from services.storage.mongodb.end_users import end_user_of, property_merges, user_merge
from services.storage.mongodb.errors import translated
from services.storage.mongodb.paging import BY_KEY, read_page
from services.storage.mongodb.transactions import Session

_LAST_CHARACTER = "\U0010ffff"


class MongoInsights(Part):
    """`InsightStore` on MongoDB."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @translated
    async def upsert_end_users(
        self, environment_id: str, users: Sequence[Context], seen_at: datetime
    ) -> None:
        if not users:
            return
        seen = whole_milliseconds(seen_at)
        # In order, so that of two sightings in one batch the second wins.
        merges = [user_merge(environment_id, user, seen) for user in users]
        await self._connection["end_users"].bulk_write(merges)
        learned = property_merges(environment_id, users)
        if learned:
            await self._connection["user_properties"].bulk_write(learned, ordered=False)

    @translated
    async def list_end_users(
        self, environment_id: str, size: int, token: str, *, key_prefix: str
    ) -> Page[EndUser]:
        await require(self._connection, "environments", environment_id)
        query: Document = {"environment": environment_id}
        if key_prefix:
            query["key"] = {"$gte": key_prefix, "$lt": key_prefix + _LAST_CHARACTER}
        return await read_page(
            self._connection["end_users"],
            query,
            order=BY_KEY,
            size=size,
            token=token,
            decode=end_user_of,
        )

    @translated
    async def store_insights(self, batch: InsightBatch) -> bool:
        async def store(session: Session) -> bool:
            return await self._store(batch, session)

        # Batches of one environment count the same flags in the same hour, and MongoDB refuses
        # the second of two that do so at once: those of this process take turns.
        turn = self._turns.setdefault(batch.environment_id, asyncio.Lock())
        async with turn:
            return await self._connection.transactions.run(store)

    @translated
    async def count_evaluations(
        self, environment_id: str, flag_key: str, start: datetime, end: datetime
    ) -> list[EvaluationCount]:
        hours = {"$gte": _hour_of(start), "$lt": end}
        query = {"environment": environment_id, "flag": flag_key, "hour": hours}
        cursor = self._connection["flag_hours"].find(query).sort([("hour", 1), ("variation", 1)])
        return [
            EvaluationCount(document["hour"], document["variation"], document["evaluations"])
            async for document in cursor
        ]

    async def _store(self, batch: InsightBatch, session: Session) -> bool:
        stored = {
            "_id": f"{batch.environment_id}/{batch.batch_id}",
            "received_at": whole_milliseconds(batch.received_at),
        }
        known = await self._connection["insight_batches"].find_one(
            {"_id": stored["_id"]}, {"_id": 1}, session=session
        )
        if known is not None:
            return False
        await self._connection["insight_batches"].insert_one(stored, session=session)
        if batch.evaluations:
            rows = _evaluation_rows(batch)
            await self._connection["flag_evaluations"].insert_many(rows, session=session)
            await self._connection["flag_hours"].bulk_write(
                _roll_ups(batch), ordered=False, session=session
            )
        if batch.metrics:
            rows = _metric_rows(batch)
            await self._connection["metric_events"].insert_many(rows, session=session)
        return True


def _roll_ups(batch: InsightBatch) -> list[UpdateOne]:
    counts: Counter[tuple[str, datetime, str]] = Counter()
    for event in batch.evaluations:
        counts[event.flag_key, _hour_of(event.last_time), event.variation_id] += event.count
    # Sorted: two batches lock the rows that they share in one order.
    return [
        UpdateOne(
            {
                "environment": batch.environment_id,
                "flag": flag_key,
                "hour": hour,
                "variation": variation_id,
            },
            {"$inc": {"evaluations": count}},
            upsert=True,
        )
        for (flag_key, hour, variation_id), count in sorted(counts.items())
    ]


def _evaluation_rows(batch: InsightBatch) -> list[Document]:
    received_at = whole_milliseconds(batch.received_at)
    return [
        {
            "environment": batch.environment_id,
            "flag": event.flag_key,
            "variation": event.variation_id,
            "user": event.user_key,
            "flag_revision": event.flag_revision,
            "in_experiment": event.in_experiment,
            "count": event.count,
            "first_time": whole_milliseconds(event.first_time),
            "last_time": whole_milliseconds(event.last_time),
            "received_at": received_at,
        }
        for event in batch.evaluations
    ]


def _metric_rows(batch: InsightBatch) -> list[Document]:
    received_at = whole_milliseconds(batch.received_at)
    return [
        {
            "environment": batch.environment_id,
            "name": event.name,
            "user": event.user_key,
            "value": float(event.value),
            "kind": event.kind.value,
            "time": whole_milliseconds(event.time),
            "received_at": received_at,
        }
        for event in batch.metrics
    ]


def _hour_of(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
