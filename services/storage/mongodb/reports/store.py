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
from services.storage.model.sketches import Distinct
from services.storage.mongodb.driver.client import Document, Part
from services.storage.mongodb.driver.errors import translated
from services.storage.mongodb.reports.experiments import read_experiment
from services.storage.mongodb.reports.flag_use import find_flag_use
from services.storage.mongodb.reports.series import sum_evaluations
from services.storage.mongodb.reports.time_ranges import Source, days_and_hours_of, minutes_of
from services.storage.mongodb.reports.variation_users import list_variation_users

MILLISECONDS: Final = 25_000
"""For one query of a report; the call that waits for it has 30 seconds."""


AT_ONCE: Final = 500
"""Buckets in memory, of at most 2.3 KiB each."""


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


Bucket = tuple[datetime, Document]
"""With its start."""

Sums = dict[str, _Sum]
"""By variation; by nothing for usage."""


class MongoReports(Part):
    """`ReportStore` on MongoDB."""

    @translated
    async def report_evaluations(
        self, environment_id: str, flag_key: str, bounds: Sequence[datetime], detail: ReportDetail
    ) -> EvaluationReport:
        flag = {"environment": environment_id, "flag": flag_key}
        sources = minutes_of(bounds) if detail.minutes else days_and_hours_of(bounds)
        if detail.users:
            return await self._with_users(flag, sources, bounds)
        return await sum_evaluations(self._connection, flag, sources, bounds, MILLISECONDS)

    @translated
    async def report_usage(
        self, environment_id: str, bounds: Sequence[datetime]
    ) -> tuple[Sequence[Usage], Usage]:
        fields = ("evaluations", "events", "dropped", "users")
        days = Source("environment_days", "day", [(bounds[0], bounds[-1])])
        buckets = self._buckets({"environment": environment_id}, days, fields)
        usage: list[Usage] = []
        total = _Sum()
        async for begin, end, sums in _by_interval(buckets, bounds, lambda _: ""):
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
        self, flag: Document, sources: Sequence[Source], bounds: Sequence[datetime]
    ) -> EvaluationReport:
        fields = ("variation", "evaluations", "users")
        streams = [self._buckets(flag, source, fields) for source in sources]
        buckets = streams[0] if len(streams) == 1 else _in_order(streams)
        counts: list[IntervalCount] = []
        totals: Sums = defaultdict(_Sum)
        async for begin, end, sums in _by_interval(buckets, bounds, _variation):
            counts += _counts(begin, end, sums)
            for variation, summed in sums.items():
                totals[variation].add_all(summed)
        return EvaluationReport(tuple(counts), tuple(_counts(bounds[0], bounds[-1], totals)))

    async def _buckets(
        self, query: Document, source: Source, fields: Iterable[str]
    ) -> AsyncIterator[Bucket]:
        """In order of time, so that one interval is summed up at once."""
        shown = {"_id": 0, source.start: 1, **dict.fromkeys(fields, 1)}
        for spans in source.queries():
            cursor = self._connection[source.collection].find({**query, **spans}, shown)
            cursor = cursor.sort(source.start, 1).max_time_ms(MILLISECONDS)
            while buckets := await cursor.to_list(AT_ONCE):
                for bucket in buckets:
                    yield bucket[source.start], bucket


async def _in_order(streams: Sequence[AsyncIterator[Bucket]]) -> AsyncIterator[Bucket]:
    """What all of them give, each of which is in order of time."""
    heads = [(head, each) for each in streams if (head := await anext(each, None)) is not None]
    while heads:
        bucket, stream = heads.pop(heads.index(min(heads, key=_start)))
        yield bucket
        following = await anext(stream, None)
        if following is not None:
            heads.append((following, stream))


def _start(head: tuple[Bucket, object]) -> datetime:
    return head[0][0]


async def _by_interval(
    buckets: AsyncIterator[Bucket],
    bounds: Sequence[datetime],
    name_of: Callable[[Document], str],
) -> AsyncIterator[tuple[datetime, datetime, Sums]]:
    """Start, end and sums of each interval that is not empty."""
    current, sums = -1, defaultdict[str, _Sum](_Sum)
    async for start, bucket in buckets:
        index = bisect_right(bounds, start) - 1
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
