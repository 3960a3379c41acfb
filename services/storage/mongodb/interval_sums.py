"""Evaluations per interval, added up by the database: only sums come over the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.storage.model.reports import EvaluationReport, IntervalCount
from services.storage.mongodb.connection import Collection, Document


async def sum_evaluations(
    buckets: Collection,
    query: Document,
    field: str,
    bounds: Sequence[datetime],
    milliseconds: int,
) -> EvaluationReport:
    """The report without users of the buckets that ``query`` finds; ``field`` is their start."""
    interval = _interval(f"${field}", bounds, 0, len(bounds) - 2)
    group = {
        "_id": {"interval": interval, "variation": "$variation"},
        "evaluations": {"$sum": "$evaluations"},
    }
    pipeline = [{"$match": query}, {"$group": group}]
    cursor = buckets.aggregate(pipeline, maxTimeMS=milliseconds)
    sums = {
        (each["_id"]["interval"], each["_id"]["variation"]): int(each["evaluations"])
        async for each in cursor
    }
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
