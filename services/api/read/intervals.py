"""Intervals of reports: minutes, hours, and days, weeks and months of a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import Enum, auto
from zoneinfo import ZoneInfo


class Interval(Enum):
    """The length of one line of a report."""

    MINUTE = auto()
    HOUR = auto()
    DAY = auto()
    WEEK = auto()
    MONTH = auto()


_FIXED = {Interval.MINUTE: timedelta(minutes=1), Interval.HOUR: timedelta(hours=1)}


def find_zone(name: str) -> tzinfo | None:
    """The time zone with this IANA name, UTC for none; None when there is no such zone."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, a path, a folder
        return None


def bounds(
    start: datetime, end: datetime, interval: Interval, zone: tzinfo, limit: int
) -> list[datetime] | None:
    """Starts of the intervals from the one that holds ``start``, and the end of the last.

    The last is the one that holds the moment before ``end``. None when there are more than
    ``limit``. All in UTC. A day begins with the first midnight of its date; where the clocks
    skip midnight, with the moment at which they do; a date that a zone never had is none.
    """
    found: list[datetime] = []
    for each in _starts(start, interval, zone):
        if found and each <= found[-1]:
            continue
        found.append(each)
        if each >= end:
            return found
        if len(found) > limit:
            return None
    return None


def _starts(start: datetime, interval: Interval, zone: tzinfo) -> Iterator[datetime]:
    fixed = _FIXED.get(interval)
    if fixed is not None:
        moment = start.astimezone(UTC).replace(second=0, microsecond=0)
        moment = moment.replace(minute=0) if interval is Interval.HOUR else moment
        while True:
            yield moment
            moment += fixed
    day = _first_day(start.astimezone(zone).date(), interval)
    while True:
        yield datetime.combine(day, time(), zone).astimezone(UTC)
        day = _next_day(day, interval)


def _first_day(day: date, interval: Interval) -> date:
    if interval is Interval.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval is Interval.MONTH else day


def _next_day(day: date, interval: Interval) -> date:
    if interval is Interval.MONTH:
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day + timedelta(days=7 if interval is Interval.WEEK else 1)
