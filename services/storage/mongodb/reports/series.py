"""Evaluations per interval, added up by the database: only sums come over the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from services.storage.model.reports import EvaluationReport, IntervalCount
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.reports.time_ranges import Source

_MILLISECOND: Final = timedelta(milliseconds=1)


async def sum_evaluations(
    connection: Connection,
    flag: Document,
    sources: Sequence[Source],
    bounds: Sequence[datetime],
    milliseconds: int,
) -> EvaluationReport:
    """The report without users; ``flag`` finds the flag's buckets in each of the sources."""
    sums: Counter[tuple[int, str]] = Counter()
    for source in sources:
        grouped = _grouped(f"${source.start}", bounds)
        for query in source.queries():
            pipeline = [{"$match": {**flag, **query}}, *grouped]
            buckets = connection[source.collection]
            async for each in buckets.aggregate(pipeline, maxTimeMS=milliseconds):
                found = each["_id"]
                sums[found["interval"], found["variation"]] += int(each["evaluations"])
    return _report(sums, bounds)


def _grouped(start: str, bounds: Sequence[datetime]) -> list[Document]:
    runs = _runs(bounds)
    interval = _interval(start, runs, 0, len(runs) - 1)
    group = {
        "_id": {"interval": interval, "variation": "$variation"},
        "evaluations": {"$sum": "$evaluations"},
    }
    return [{"$group": group}]


def _report(sums: Counter[tuple[int, str]], bounds: Sequence[datetime]) -> EvaluationReport:
    totals: Counter[str] = Counter()
    for (_, variation), evaluations in sums.items():
        totals[variation] += evaluations
    return EvaluationReport(
        tuple(
            IntervalCount(bounds[index], bounds[index + 1], variation, evaluations)
            for (index, variation), evaluations in sorted(sums.items())
        ),
        tuple(
            IntervalCount(bounds[0], bounds[-1], variation, evaluations)
            for variation, evaluations in sorted(totals.items())
        ),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """Intervals of one length that follow each other, the first of which has this index."""

    index: int
    start: datetime
    length: timedelta


def _runs(bounds: Sequence[datetime]) -> list[_Run]:
    """A few, however many intervals there are: an expression with each of them is slow."""
    runs: list[_Run] = []
    for index, (start, end) in enumerate(pairwise(bounds)):
        if not runs or runs[-1].length != end - start:
            runs.append(_Run(index, start, end - start))
    return runs


def _interval(time: str, runs: Sequence[_Run], low: int, high: int) -> Any:
    """An expression for the interval that holds a time, which one of these runs has: by halves."""
    if low == high:
        run = runs[low]
        since = {"$subtract": [time, run.start]}
        passed = {"$toInt": {"$floor": {"$divide": [since, run.length / _MILLISECOND]}}}
        return {"$add": [run.index, passed]}
    middle = (low + high + 1) // 2
    return {
        "$cond": [
            {"$lt": [time, runs[middle].start]},
            _interval(time, runs, low, middle - 1),
            _interval(time, runs, middle, high),
        ]
    }
