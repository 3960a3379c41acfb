"""Ranges of reports, and what else their requests hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.management.v1 import report_service_pb2 as pb
from services.api.read.intervals import Interval, bounds, find_zone
from services.api.rpc import limits
from services.api.rpc.validation.faults import Faults, quoted

INTERVALS: Final[Mapping[int, Interval]] = {
    pb.INTERVAL_MINUTE: Interval.MINUTE,
    pb.INTERVAL_HOUR: Interval.HOUR,
    pb.INTERVAL_DAY: Interval.DAY,
    pb.INTERVAL_WEEK: Interval.WEEK,
    pb.INTERVAL_MONTH: Interval.MONTH,
}
USAGE_INTERVALS: Final = frozenset({Interval.DAY, Interval.WEEK, Interval.MONTH})

_YEARS: Final = range(1970, 9_990)
"""An interval may begin before its range and end after it."""

Ranged = pb.QueryEvaluationsRequest | pb.QueryUsageRequest


def check_bounds(
    faults: Faults,
    request: Ranged,
    now: datetime,
    *,
    time_zone: str = "",
    allowed: Collection[Interval] = frozenset(Interval),
) -> list[datetime]:
    """Bounds of the intervals; meaningful only when no fault was found."""
    start = _time(faults, "start_time", request.start_time, given=request.HasField("start_time"))
    end = _time(faults, "end_time", request.end_time, given=request.HasField("end_time"))
    interval = INTERVALS.get(request.interval)
    if interval not in allowed:
        faults.add("interval", f"must be one of {', '.join(sorted(each.name for each in allowed))}")
    zone = find_zone(time_zone) if len(time_zone.encode()) <= limits.ZONE_BYTES else None
    if zone is None:
        faults.add("time_zone", f"is {quoted(time_zone)}, which is no IANA time zone")
    if start is None or end is None or interval is None or zone is None:
        return []
    _check_order(faults, start, end)
    if interval is Interval.MINUTE and start < now - timedelta(hours=limits.MINUTES_HOURS):
        text = f"is more than {limits.MINUTES_HOURS} hours ago; minutes are not kept longer"
        faults.add("start_time", text)
    if faults:
        return []
    found = bounds(start, end, interval, zone, limits.REPORT_INTERVALS)
    if found is None:
        text = f"is more than {limits.REPORT_INTERVALS} intervals after start_time"
        faults.add("end_time", text)
    return found or []


def _check_order(faults: Faults, start: datetime, end: datetime) -> None:
    if start >= end:
        faults.add("end_time", "must be after start_time")
    elif end - start > timedelta(days=limits.REPORT_DAYS):
        faults.add("end_time", f"is more than {limits.REPORT_DAYS} days after start_time")


def _time(faults: Faults, name: str, stamp: Timestamp, *, given: bool) -> datetime | None:
    if not given:
        faults.add(name, "is required")
        return None
    try:
        time = stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        time = datetime.min.replace(tzinfo=UTC)
    if time.year not in _YEARS:
        faults.add(name, f"is no time from the year {_YEARS.start} to {_YEARS.stop - 1}")
        return None
    return time
