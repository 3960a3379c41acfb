"""`featmesh reports`: what SDKs reported, summed up."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.management.v1 import report_service_pb2 as pb
from featmesh.management.v1.report_service_pb2_grpc import ReportServiceStub
from featmesh_cli.access import Management, management
from featmesh_cli.commands.lookups import variation_names
from featmesh_cli.commands.users import print_keys
from featmesh_cli.limits import range_of
from featmesh_cli.output import (
    Columns,
    json_option,
    print_list,
    print_one,
    print_table,
    shown_enum,
    shown_time,
)
from featmesh_cli.paging import limit_option, listed

_INTERVALS = {
    "minute": pb.INTERVAL_MINUTE,
    "hour": pb.INTERVAL_HOUR,
    "day": pb.INTERVAL_DAY,
    "week": pb.INTERVAL_WEEK,
    "month": pb.INTERVAL_MONTH,
}
_SPANS = {
    "minute": timedelta(hours=1),
    "hour": timedelta(days=1),
    "day": timedelta(days=30),
    "week": timedelta(weeks=12),
    "month": timedelta(days=365),
}
"""How far back a report goes if that is not said."""

_VARIATION_USERS: Columns = {
    "KEY": lambda user: user.key,
    "NAME": lambda user: user.name,
    "LAST SERVED": lambda user: shown_time(user.last_time),
}
_STALE_FLAGS: Columns = {
    "FLAG": lambda flag: flag.flag_key,
    "WHY": lambda flag: shown_enum(pb.StaleReason, flag.reason).replace("_", " "),
    "LAST EVALUATED": lambda flag: shown_time(flag.last_evaluated),
    "SERVED": lambda flag: flag.variation_id,
    "MADE": lambda flag: shown_time(flag.created_at)[:10],
    "NAME": lambda flag: flag.name,
}


@dataclass(frozen=True, slots=True)
class _Span:
    """A range of time, and into which intervals it is cut."""

    start: Timestamp
    end: Timestamp
    interval: pb.Interval.ValueType


def _span(*intervals: str, default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command a `_Span`, and the options for it."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        choice = click.Choice(intervals)

        @click.option("--by", type=choice, default=default, show_default=True, help="Interval.")
        @click.option("--since", type=click.DateTime(), help="From this time of UTC on.")
        @click.option("--until", type=click.DateTime(), help="Up to this time of UTC, or to now.")
        @functools.wraps(command)
        def run(
            *args: Any, by: str, since: datetime | None, until: datetime | None, **options: Any
        ) -> None:
            end = until.replace(tzinfo=UTC) if until else datetime.now(UTC)
            start = since.replace(tzinfo=UTC) if since else end - _SPANS[by]
            span = _Span(_timestamp(start), _timestamp(end), _INTERVALS[by])
            command(*args, span=span, **options)

        return run

    return decorate


@click.group()
def reports() -> None:
    """Evaluations, users, usage, and flags that nobody needs any more."""


@reports.command("evaluations")
@click.argument("flag")
@_span(*_INTERVALS, default="day")
@click.option("--time-zone", default="", metavar="NAME", help="Such as Europe/Berlin; UTC.")
@click.option("--users", is_flag=True, help="Count users too, about.")
@json_option
@management
def evaluations(
    access: Management,
    flag: str,
    span: _Span,
    time_zone: str,
    users: bool,
    as_json: bool,
) -> None:
    """Show how often a flag served each variation."""
    request = pb.QueryEvaluationsRequest(
        parent=access.environment,
        flag_key=flag,
        start_time=span.start,
        end_time=span.end,
        interval=span.interval,
        time_zone=time_zone,
        count_users=users,
    )
    answer = access.call(ReportServiceStub(access.channel).QueryEvaluations, request)
    if as_json:
        print_one(answer)
        return
    names = variation_names(access, flag)
    headings = ("FROM (UTC)", "TO (UTC)", "VARIATION", "EVALUATIONS", *(["USERS"] if users else []))
    lines = [
        (shown_time(each.start), shown_time(each.end), *_counts(each, names, users=users))
        for each in answer.counts
    ]
    lines += [("total", "", *_counts(each, names, users=users)) for each in answer.totals]
    print_table(headings, lines, empty="No evaluations.")


@reports.command("users")
@click.argument("flag")
@click.option("--variation", required=True, metavar="ID", help="What they were served.")
@click.option("--prefix", default="", help="Only keys that start with this.")
@limit_option(500)
@click.option("--keys-only", is_flag=True, help="One key on each line, for a target list.")
@json_option
@management
def variation_users(
    access: Management, /, flag: str, variation: str, prefix: str, limit: int, **shown: bool
) -> None:
    """List the end users that were served a variation, and when last."""
    request = pb.ListVariationUsersRequest(
        parent=access.environment, flag_key=flag, variation_id=variation, key_prefix=prefix
    )
    method = ReportServiceStub(access.channel).ListVariationUsers
    found = listed(access, method, request, limit=limit)
    if shown["keys_only"]:
        print_keys(each.key for each in found)
    else:
        print_list(found, _VARIATION_USERS, as_json=shown["as_json"], empty="No users.")


@reports.command("usage")
@_span("day", "week", "month", default="month")
@json_option
@management
def usage(access: Management, span: _Span, as_json: bool) -> None:
    """Show evaluations, events and active users of the environment."""
    request = pb.QueryUsageRequest(
        parent=access.environment,
        start_time=span.start,
        end_time=span.end,
        interval=span.interval,
    )
    answer = access.call(ReportServiceStub(access.channel).QueryUsage, request)
    if as_json:
        print_one(answer)
        return
    rows = [(shown_time(each.start)[:10], *_used(each)) for each in answer.usage]
    rows += [("total", *_used(answer.total))] if rows else []
    headings = ("FROM (UTC)", "EVALUATIONS", "EVENTS", "DROPPED", "ACTIVE USERS")
    print_table(headings, rows, empty="Not used.")


@reports.command("stale")
@click.option(
    "--days",
    type=range_of(pb.ListStaleFlagsRequest, "days"),
    default=30,
    show_default=True,
    help="For how long.",
)
@json_option
@management
def stale(access: Management, days: int, as_json: bool) -> None:
    """List flags that were not evaluated, or served one variation alone."""
    request = pb.ListStaleFlagsRequest(parent=access.environment, days=days)
    found = listed(access, ReportServiceStub(access.channel).ListStaleFlags, request)
    print_list(found, _STALE_FLAGS, as_json=as_json, empty="No stale flags.")


def _timestamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message


def _counts(
    count: pb.IntervalCount | pb.VariationTotal, names: dict[str, str], *, users: bool
) -> tuple[str, ...]:
    name = names.get(count.variation_id, count.variation_id)
    return (name, f"{count.evaluations:,}", *([f"{count.users:,}"] if users else []))


def _used(used: pb.Usage) -> tuple[str, ...]:
    counts = (used.evaluations, used.events, used.dropped_events, used.active_users)
    return tuple(f"{each:,}" for each in counts)
