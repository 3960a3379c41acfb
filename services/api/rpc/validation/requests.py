"""What stands around an item in a request: options, ids, pages and ranges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from featmesh.management.v1 import insight_service_pb2, mutation_pb2
from services.api.rpc import limits
from services.api.rpc.validation.faults import Faults


def check_options(faults: Faults, options: mutation_pb2.MutationOptions) -> None:
    """Comment and request id."""
    faults.text("options.comment", options.comment, limits.COMMENT_BYTES)
    faults.line("options.request_id", options.request_id, limits.REQUEST_ID_BYTES)


def check_id(faults: Faults, path: str, value: str) -> None:
    """An id that the server gave out earlier."""
    faults.line(path, value, limits.ID_BYTES, low=1)


def check_version(faults: Faults, path: str, version: int, *, required: bool = False) -> None:
    """The version that a write is based on; 0 means whichever is current."""
    if version < 0 or (required and version == 0):
        faults.add(path, "must be the version that the write is based on")


def check_to_version(faults: Faults, version: int) -> None:
    """The version to go back to."""
    if version < 1:
        faults.add("to_version", "must be one of its versions, from 1")


def page_size(faults: Faults, page: mutation_pb2.PageRequest) -> int:
    """The size to use."""
    if not 0 <= page.size <= limits.MAX_PAGE_SIZE:
        faults.add(
            "page.size", f"is {page.size}; it must be from 1 to {limits.MAX_PAGE_SIZE}, or 0"
        )
    faults.text("page.token", page.token, limits.TOKEN_BYTES)
    return page.size or limits.PAGE_SIZE


def check_range(
    faults: Faults, request: insight_service_pb2.QueryFlagEvaluationsRequest
) -> tuple[datetime, datetime]:
    """Start and end in UTC; meaningful only when no fault was found."""
    start = _time(faults, request, "start_time")
    end = _time(faults, request, "end_time")
    if start is None or end is None:
        return datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
    if start >= end:
        faults.add("end_time", "must be after start_time")
    elif end - start > timedelta(days=limits.QUERY_DAYS):
        faults.add("end_time", f"is more than {limits.QUERY_DAYS} days after start_time")
    return start, end


def _time(
    faults: Faults,
    request: insight_service_pb2.QueryFlagEvaluationsRequest,
    name: Literal["start_time", "end_time"],
) -> datetime | None:
    if not request.HasField(name):
        faults.add(name, "is required")
        return None
    value = request.start_time if name == "start_time" else request.end_time
    try:
        return value.ToDatetime(UTC)
    except (ValueError, OverflowError):
        faults.add(name, "is no time from the year 1 to 9999")
        return None
