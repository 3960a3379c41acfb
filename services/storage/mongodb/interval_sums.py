"""Evaluations per interval, added up by the database: only sums come over the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.storage.model import EvaluationReport, IntervalCount
from services.storage.mongodb.connection import Connection, Document
from services.storage.mongodb.spans import Source


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
    interval = _interval(start, bounds, 0, len(bounds) - 2)
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


def _interval(time: str, bounds: Sequence[datetime], low: int, high: int) -> Any:
    """An expression for the interval from ``low`` to ``high`` that holds a time, by halves."""
    if low == high:
        return {"$literal": low}
    middle = (low + high + 1) // 2
    return {
        "$cond": [
            {"$lt": [time, bounds[middle]]},
            _interval(time, bounds, low, middle - 1),
            _interval(time, bounds, middle, high),
        ]
    }
