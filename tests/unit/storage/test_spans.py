"""A report from days and hours reads each hour once, in the interval that it begins in."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from services.api.read.intervals import Interval, bounds, find_zone
from services.storage.mongodb.reports.time_ranges import AT_ONCE, Source, days_and_hours_of

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
START = datetime(2026, 2, 11, 7, tzinfo=UTC)

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Los_Angeles",
    "Asia/Kolkata",  # half an hour off
    "Asia/Kathmandu",  # a quarter
    "Australia/Lord_Howe",  # whose summer is half an hour
    "Pacific/Kiritimati",
)


def bounds_of(zone: str, interval: Interval, days: int = 300) -> list[datetime]:
    found = bounds(START, START + days * DAY, interval, find_zone(zone) or UTC, 10_000)
    assert found is not None
    return found


def hours_read(source: Source, edges: list[datetime]) -> Counter[tuple[datetime, int]]:
    """How often each hour is read, with the interval that the bucket it stands in goes to."""
    step = DAY if source.start == "day" else HOUR
    read: Counter[tuple[datetime, int]] = Counter()
    for start, end in source.spans:
        bucket = start if start.minute == 0 else start.replace(minute=0) + HOUR
        while bucket < end:
            interval = bisect_right(edges, bucket) - 1
            read.update((bucket + n * HOUR, interval) for n in range(step // HOUR))
            bucket += step
    return read


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("interval", [Interval.HOUR, Interval.DAY, Interval.WEEK, Interval.MONTH])
def test_each_hour_is_read_once_for_the_interval_in_which_it_begins(
    zone: str, interval: Interval
) -> None:
    edges = bounds_of(zone, interval)
    read = sum((hours_read(source, edges) for source in days_and_hours_of(edges)), Counter())
    hour = edges[0] if edges[0].minute == 0 else edges[0].replace(minute=0) + HOUR
    expected: Counter[tuple[datetime, int]] = Counter()
    while hour < edges[-1]:
        expected[hour, bisect_right(edges, hour) - 1] += 1
        hour += HOUR
    assert read == expected


@pytest.mark.parametrize(
    ("zone", "interval", "collections"),
    [
        ("UTC", Interval.DAY, {"flag_days": 1}),
        ("UTC", Interval.MONTH, {"flag_days": 1}),
        ("UTC", Interval.HOUR, {"flag_hours": 1}),
        ("Europe/Berlin", Interval.DAY, {"flag_hours": 1}),
        ("Europe/Berlin", Interval.MONTH, {"flag_days": 11, "flag_hours": 12}),
    ],
)
def test_days_are_read_wherever_a_whole_one_lies_within_an_interval(
    zone: str, interval: Interval, collections: dict[str, int]
) -> None:
    sources = days_and_hours_of(bounds_of(zone, interval))
    assert {source.collection: len(source.spans) for source in sources} == collections


def test_many_spans_are_several_queries_that_follow_each_other() -> None:
    edges = bounds_of("Europe/Berlin", Interval.WEEK, days=1_500)
    _, hours = days_and_hours_of(edges)
    queries = list(hours.queries())
    ranges = [each["hour"] for query in queries for each in query["$or"]]
    assert [(each["$gte"], each["$lt"]) for each in ranges] == hours.spans
    assert max(len(query["$or"]) for query in queries) == AT_ONCE
