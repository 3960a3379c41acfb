"""Reports of what SDKs told, from the roll-ups."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from services.storage.model.pages import Page
from services.storage.model.reports import (
    EvaluationReport,
    ExperimentVariation,
    FlagUse,
    IntervalCount,
    ReportDetail,
    Usage,
    VariationOfFlag,
    VariationUser,
)
from services.storage.mongodb.connection import Document, Part
from services.storage.mongodb.errors import translated
from services.storage.mongodb.experiments import read_experiment
from services.storage.mongodb.flag_use import find_flag_use
from services.storage.mongodb.interval_sums import sum_evaluations
from services.storage.mongodb.variation_users import list_variation_users
from services.storage.sketches import Distinct

MILLISECONDS: Final = 25_000
"""For one query of a report; the call that waits for it has 30 seconds."""


@dataclass(slots=True)
class _Sum:
    """What buckets add up to."""

    evaluations: int = 0
    events: int = 0
    dropped: int = 0
    users: Distinct = field(default_factory=Distinct)

    def add(self, bucket: Document) -> None:
        self.evaluations += bucket["evaluations"]
        self.events += bucket.get("events", 0)
        self.dropped += bucket.get("dropped", 0)
        if bucket.get("users"):  # one from before the sketches has none
            self.users.add(bucket["users"])

    def add_all(self, other: _Sum) -> None:
        self.evaluations += other.evaluations
        self.events += other.events
        self.dropped += other.dropped
        self.users.add_all(other.users)


Sums = dict[str, _Sum]
"""By variation; by nothing for usage."""


class MongoReports(Part):
    """`ReportStore` on MongoDB."""

    @translated
    async def report_evaluations(
        self, environment_id: str, flag_key: str, bounds: Sequence[datetime], detail: ReportDetail
    ) -> EvaluationReport:
        collection, start = ("flag_minutes", "minute") if detail.minutes else ("flag_hours", "hour")
        query = {
            "environment": environment_id,
            "flag": flag_key,
            start: {"$gte": bounds[0], "$lt": bounds[-1]},
        }
        if detail.users:
            return await self._with_users(collection, query, start, bounds)
        buckets = self._connection[collection]
        return await sum_evaluations(buckets, query, start, bounds, MILLISECONDS)

    @translated
    async def report_usage(
        self, environment_id: str, bounds: Sequence[datetime]
    ) -> tuple[Sequence[Usage], Usage]:
        query = {"environment": environment_id, "day": {"$gte": bounds[0], "$lt": bounds[-1]}}
        fields = ("evaluations", "events", "dropped", "users", "day")
        buckets = self._buckets("environment_days", query, fields, "day")
        usage: list[Usage] = []
        total = _Sum()
        async for begin, end, sums in _by_interval(buckets, bounds, "day", lambda _: ""):
            usage.append(_usage(begin, end, sums[""]))
            total.add_all(sums[""])
        return usage, _usage(bounds[0], bounds[-1], total)

    @translated
    async def list_variation_users(
        self, variation: VariationOfFlag, size: int, token: str, *, key_prefix: str
    ) -> Page[VariationUser]:
        return await list_variation_users(
            self._connection, variation, size, token, key_prefix=key_prefix
        )

    @translated
    async def find_flag_use(
        self, environment_id: str, flag_keys: Sequence[str], since: datetime
    ) -> dict[str, FlagUse]:
        return await find_flag_use(self._connection, environment_id, flag_keys, since)

    @translated
    async def read_experiment(
        self, environment_id: str, flag_key: str, event_name: str
    ) -> Sequence[ExperimentVariation]:
        return await read_experiment(
            self._connection, environment_id, flag_key, event_name, MILLISECONDS
        )

    async def _with_users(
        self, collection: str, query: Document, start: str, bounds: Sequence[datetime]
    ) -> EvaluationReport:
        fields = ("variation", "evaluations", "users", start)
        buckets = self._buckets(collection, query, fields, start)
        counts: list[IntervalCount] = []
        totals: Sums = defaultdict(_Sum)
        async for begin, end, sums in _by_interval(buckets, bounds, start, _variation):
            counts += _counts(begin, end, sums)
            for variation, summed in sums.items():
                totals[variation].add_all(summed)
        return EvaluationReport(tuple(counts), tuple(_counts(bounds[0], bounds[-1], totals)))

    def _buckets(
        self, collection: str, query: Document, fields: Iterable[str], start: str
    ) -> AsyncIterator[Document]:
        """In order of time, so that one interval is summed up at once."""
        shown = {"_id": 0, **dict.fromkeys(fields, 1)}
        cursor = self._connection[collection].find(query, shown).sort(start, 1)
        return aiter(cursor.max_time_ms(MILLISECONDS))


async def _by_interval(
    buckets: AsyncIterator[Document],
    bounds: Sequence[datetime],
    start: str,
    name_of: Callable[[Document], str],
) -> AsyncIterator[tuple[datetime, datetime, Sums]]:
    """Start, end and sums of each interval that is not empty."""
    current, sums = -1, defaultdict[str, _Sum](_Sum)
    async for bucket in buckets:
        index = bisect_right(bounds, bucket[start]) - 1
        if index != current:
            if sums:
                yield bounds[current], bounds[current + 1], sums
            current, sums = index, defaultdict(_Sum)
        sums[name_of(bucket)].add(bucket)
    if sums:
        yield bounds[current], bounds[current + 1], sums


def _variation(bucket: Document) -> str:
    name: Any = bucket["variation"]
    return str(name)


def _counts(start: datetime, end: datetime, sums: Sums) -> Iterable[IntervalCount]:
    for variation in sorted(sums):
        summed = sums[variation]
        users = summed.users.estimate()
        yield IntervalCount(start, end, variation, summed.evaluations, users)


def _usage(start: datetime, end: datetime, summed: _Sum) -> Usage:
    return Usage(
        start,
        end,
        summed.evaluations,
        summed.events,
        active_users=summed.users.estimate(),
        dropped_events=summed.dropped,
    )
