"""`featmesh reports`: what SDKs reported, summed up."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.management.v1 import mutation_pb2
from featmesh.management.v1 import report_service_pb2 as pb
from featmesh.management.v1.report_service_pb2_grpc import ReportServiceStub
from featmesh_cli.access import TIMEOUT, Management, management
from featmesh_cli.commands.insights import variation_names
from featmesh_cli.commands.users import print_keys
from featmesh_cli.output import print_json, print_one, print_table, shown_time
from featmesh_cli.paging import all_pages

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

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


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
@_as_json
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
        environment_id=access.environment_id,
        flag_key=flag,
        start_time=span.start,
        end_time=span.end,
        interval=span.interval,
        time_zone=time_zone,
        count_users=users,
    )
    stub = ReportServiceStub(access.channel)
    answer = stub.QueryEvaluations(request, metadata=access.metadata, timeout=TIMEOUT)
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
@click.option("--limit", type=click.IntRange(0), default=500, show_default=True, help="0: all.")
@click.option("--keys-only", is_flag=True, help="One key on each line, for a target list.")
@_as_json
@management
def variation_users(
    access: Management, /, flag: str, variation: str, prefix: str, limit: int, **shown: bool
) -> None:
    """List the end users that were served a variation, and when last."""
    stub, environment_id = ReportServiceStub(access.channel), access.environment_id

    def fetch(page: mutation_pb2.PageRequest) -> tuple[Sequence[pb.VariationUser], str]:
        request = pb.ListVariationUsersRequest(
            environment_id=environment_id,
            flag_key=flag,
            variation_id=variation,
            key_prefix=prefix,
            page=page,
        )
        answer = stub.ListVariationUsers(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.users, answer.next_token

    found = all_pages(fetch, limit=limit)
    if shown["keys_only"]:
        print_keys(each.key for each in found)
    elif shown["as_json"]:
        print_json(found)
    else:
        rows = ((each.key, each.name, shown_time(each.last_time)) for each in found)
        print_table(("KEY", "NAME", "LAST SERVED"), rows, empty="No users.")


@reports.command("usage")
@_span("day", "week", "month", default="month")
@_as_json
@management
def usage(access: Management, span: _Span, as_json: bool) -> None:
    """Show evaluations, events and active users of the environment."""
    request = pb.QueryUsageRequest(
        environment_id=access.environment_id,
        start_time=span.start,
        end_time=span.end,
        interval=span.interval,
    )
    stub = ReportServiceStub(access.channel)
    answer = stub.QueryUsage(request, metadata=access.metadata, timeout=TIMEOUT)
    if as_json:
        print_one(answer)
        return
    rows = [(shown_time(each.start)[:10], *_used(each)) for each in answer.usage]
    rows += [("total", *_used(answer.total))] if rows else []
    headings = ("FROM (UTC)", "EVALUATIONS", "EVENTS", "DROPPED", "ACTIVE USERS")
    print_table(headings, rows, empty="Not used.")


@reports.command("stale")
@click.option(
    "--days", type=click.IntRange(1, 365), default=30, show_default=True, help="For how long."
)
@_as_json
@management
def stale(access: Management, days: int, as_json: bool) -> None:
    """List flags that were not evaluated, or served one variation alone."""
    stub, environment_id = ReportServiceStub(access.channel), access.environment_id

    def fetch(page: mutation_pb2.PageRequest) -> tuple[Sequence[pb.StaleFlag], str]:
        request = pb.ListStaleFlagsRequest(environment_id=environment_id, days=days, page=page)
        answer = stub.ListStaleFlags(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.flags, answer.next_token

    if as_json:
        print_json(all_pages(fetch))
        return
    headings = ("FLAG", "WHY", "LAST EVALUATED", "SERVED", "MADE", "NAME")
    print_table(headings, map(_stale_row, all_pages(fetch)), empty="No stale flags.")


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


def _stale_row(flag: pb.StaleFlag) -> tuple[str, ...]:
    why = pb.StaleReason.Name(flag.reason).removeprefix("STALE_REASON_").replace("_", " ").lower()
    return (
        flag.flag_key,
        why,
        shown_time(flag.last_evaluated),
        flag.variation_id,
        shown_time(flag.created_at)[:10],
        flag.name,
    )
