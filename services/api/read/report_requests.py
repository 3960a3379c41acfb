"""Ranges of reports: what the rules of fields cannot say of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.management.v1 import report_service_pb2 as pb
from services.api.read.intervals import Interval, bounds, find_zone
from services.runtime.errors import InvalidArgument
from services.runtime.violations import Violations, quoted

INTERVALS: Final[Mapping[int, Interval]] = {
    pb.INTERVAL_MINUTE: Interval.MINUTE,
    pb.INTERVAL_HOUR: Interval.HOUR,
    pb.INTERVAL_DAY: Interval.DAY,
    pb.INTERVAL_WEEK: Interval.WEEK,
    pb.INTERVAL_MONTH: Interval.MONTH,
}
USAGE_INTERVALS: Final = frozenset({Interval.DAY, Interval.WEEK, Interval.MONTH})

REPORT_INTERVALS: Final = 1_500
"""Largest number of intervals in one report."""

REPORT_DAYS: Final = 1_830
"""Longest range of a report, in days."""

MINUTES_HOURS: Final = 48
"""Hours for which roll-ups of minutes are kept."""

_YEARS: Final = range(1970, 9_990)
"""Years of a range: an interval may begin before it and end after it."""

Ranged = pb.QueryEvaluationsRequest | pb.QueryUsageRequest


def read_bounds(
    request: Ranged,
    now: datetime,
    *,
    time_zone: str = "",
    allowed: Collection[Interval] = frozenset(Interval),
) -> list[datetime]:
    """Returns the bounds of a checked request's intervals; raises `InvalidArgument`."""
    violations, interval, zone = Violations(), INTERVALS[request.interval], find_zone(time_zone)
    start = _time(violations, "start_time", request.start_time)
    end = _time(violations, "end_time", request.end_time)
    if interval not in allowed:
        names = ", ".join(sorted(each.name for each in allowed))
        violations.add("interval", f"must be one of {names}")
    if zone is None:
        violations.add("time_zone", f"is {quoted(time_zone)}, which is no IANA time zone")
    if not violations:
        _check_range(violations, start, end)
    if interval is Interval.MINUTE and start < now - timedelta(hours=MINUTES_HOURS):
        text = f"is more than {MINUTES_HOURS} hours ago; minutes are not kept longer"
        violations.add("start_time", text)
    violations.finish()
    found = bounds(start, end, interval, zone or UTC, REPORT_INTERVALS)
    if found is None:
        text = f"is more than {REPORT_INTERVALS} intervals after start_time"
        raise InvalidArgument.of("end_time", text)
    return found


def _check_range(violations: Violations, start: datetime, end: datetime) -> None:
    if start >= end:
        violations.add("end_time", "must be after start_time")
    elif end - start > timedelta(days=REPORT_DAYS):
        violations.add("end_time", f"is more than {REPORT_DAYS} days after start_time")


def _time(violations: Violations, name: str, stamp: Timestamp) -> datetime:
    time = stamp.ToDatetime(UTC)
    if time.year not in _YEARS:
        text = f"is no time from the year {_YEARS.start} to {_YEARS.stop - 1}"
        violations.add(name, text)
    return time
