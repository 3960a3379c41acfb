"""End users, and events with their roll-ups."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from featmesh.engine.model import Context
from services.storage.model.events import EvaluationCount, InsightBatch
from services.storage.model.observations import UserObservations
from services.storage.mongodb.driver.client import (
    Connection,
    Part,
    whole_milliseconds,
)
from services.storage.mongodb.driver.errors import translated
from services.storage.mongodb.events.end_users import property_merges, user_merge
from services.storage.mongodb.events.writer import EventWriter


class MongoInsights(Part):
    """`EventStore` on MongoDB."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._writer = EventWriter(connection)

    @translated
    async def store_observations(self, observations: Sequence[UserObservations]) -> None:
        # In order, so that of two sightings in one batch the second wins.
        merges = [
            user_merge(each.environment_id, user, whole_milliseconds(each.seen_at))
            for each in observations
            for user in each.users
        ]
        if not merges:
            return
        await self._connection["end_users"].bulk_write(merges)
        learned = [
            merge
            for environment_id, users in _by_environment(observations).items()
            for merge in property_merges(environment_id, users)
        ]
        if learned:
            await self._connection["user_properties"].bulk_write(learned, ordered=False)

    @translated
    async def store_insights(self, batches: Sequence[InsightBatch]) -> int:
        return await self._writer.store(batches)

    @translated
    async def count_evaluations(
        self, environment_id: str, flag_key: str, start: datetime, end: datetime
    ) -> list[EvaluationCount]:
        hours = {"$gte": _hour_of(start), "$lt": end}
        query = {"environment": environment_id, "flag": flag_key, "hour": hours}
        counts: Counter[tuple[datetime, str]] = Counter()
        shown = {"_id": 0, "hour": 1, "variation": 1, "evaluations": 1}  # no sketches
        async for part in self._connection["flag_hours"].find(query, shown):
            counts[part["hour"], part["variation"]] += part["evaluations"]
        return [EvaluationCount(*bucket, count) for bucket, count in sorted(counts.items())]


def _by_environment(observations: Sequence[UserObservations]) -> dict[str, list[Context]]:
    """So that what many batches tell of one attribute is written once."""
    users: dict[str, list[Context]] = defaultdict(list)
    for each in observations:
        users[each.environment_id].extend(each.users)
    return users


def _hour_of(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
