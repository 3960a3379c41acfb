"""Which roll-ups a report is read from: whole days of UTC out of days, what is left out of hours.

The answer is the same as from hours alone: an hour belongs to the interval that it begins in,
and a day is read only where all its hours begin in one interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from services.storage.mongodb.driver.client import Document

AT_ONCE: Final = 100
"""Spans of one query: as many ranges of an index as the server still merges in their order."""

_DAY: Final = timedelta(days=1)

Span = tuple[datetime, datetime]
"""From, and up to but without."""


@dataclass(frozen=True, slots=True)
class Source:
    """A collection of buckets, the field with their start, and what is read of it, in order."""

    collection: str
    start: str
    spans: list[Span] = field(default_factory=list)

    def add(self, start: datetime, end: datetime) -> None:
        """One more span, after the others; it continues the last one if it can."""
        if start >= end:
            return
        if self.spans and self.spans[-1][1] == start:
            start, _ = self.spans.pop()
        self.spans.append((start, end))

    def queries(self) -> Iterator[Document]:
        """One after the other they find all that is to be read."""
        for first in range(0, len(self.spans), AT_ONCE):
            some = self.spans[first : first + AT_ONCE]
            ranges = [{self.start: {"$gte": start, "$lt": end}} for start, end in some]
            yield ranges[0] if len(ranges) == 1 else {"$or": ranges}


def minutes_of(bounds: Sequence[datetime]) -> tuple[Source, ...]:
    """All of it out of minutes."""
    return (Source("flag_minutes", "minute", [(bounds[0], bounds[-1])]),)


def days_and_hours_of(bounds: Sequence[datetime]) -> tuple[Source, ...]:
    """Whole days of UTC within one interval out of days, everything else out of hours."""
    days, hours = Source("flag_days", "day"), Source("flag_hours", "hour")
    for start, end in pairwise(bounds):
        first, last = _day_from(start), end.replace(hour=0, minute=0, second=0, microsecond=0)
        if first < last:
            hours.add(start, first)
            days.add(first, last)
            hours.add(last, end)
        else:
            hours.add(start, end)
    return tuple(source for source in (days, hours) if source.spans)


def _day_from(time: datetime) -> datetime:
    """The first midnight that is not before."""
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == time else midnight + _DAY
