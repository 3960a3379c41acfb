from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.engine.model import Context
from featmesh.management.v1 import end_user_service_pb2
from featmesh.management.v1 import report_service_pb2 as pb
from featmesh.management.v1.page_pb2 import PageRequest
from services.api.read.intervals import Interval, bounds
from services.storage.model.events import EvaluationEvent, InsightBatch, MetricEvent, MetricKind
from services.storage.mongodb import MongoStore
from tests.integration.api.test_end_users import create_flag
from tests.support.api import ApiClient
from tests.support.observations import see_users
from tests.support.resources import NOWHERE, Environment
from tests.support.statuses import violations

NOON = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def timestamp(at: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(at)
    return message


def evaluation(
    time: datetime,
    user: str = "ada",
    variation: str = "on",
    *,
    flag: str = "f",
    count: int = 1,
    in_experiment: bool = False,
) -> EvaluationEvent:
    at = milliseconds(time)
    return EvaluationEvent(flag, variation, user, 1, in_experiment, count, at, at)


def bought(time: datetime, user: str = "ada", value: float = 1.0) -> MetricEvent:
    return MetricEvent("bought", user, value, MetricKind.CUSTOM, milliseconds(time))


async def track(
    store: MongoStore, environment: Environment, *events: EvaluationEvent | MetricEvent
) -> None:
    batch = InsightBatch(
        environment.id,
        str(uuid4()),
        milliseconds(NOON),
        tuple(each for each in events if isinstance(each, EvaluationEvent)),
        tuple(each for each in events if isinstance(each, MetricEvent)),
    )
    assert await store.insights.store_insights([batch]) == 1


def query(parent: str, start: datetime, end: datetime, **fields: Any) -> pb.QueryEvaluationsRequest:
    return pb.QueryEvaluationsRequest(
        parent=parent,
        flag_key="f",
        start_time=timestamp(start),
        end_time=timestamp(end),
        **{"interval": pb.INTERVAL_DAY, **fields},
    )


async def report(
    api: ApiClient, environment: Environment, start: datetime, end: datetime, **fields: Any
) -> list[tuple[datetime, datetime, str, int]]:
    request = query(environment.name, start, end, **fields)
    answer = await api.call(api.reports.QueryEvaluations, request)
    return [
        (
            each.start.ToDatetime(UTC),
            each.end.ToDatetime(UTC),
            each.variation_id,
            each.evaluations,
        )
        for each in answer.counts
    ]


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        (pb.INTERVAL_HOUR, "2026-05-04T12:00Z", "2026-05-04T13:00Z"),
        (pb.INTERVAL_DAY, "2026-05-04T00:00Z", "2026-05-05T00:00Z"),
        (pb.INTERVAL_WEEK, "2026-05-04T00:00Z", "2026-05-11T00:00Z"),
        (pb.INTERVAL_MONTH, "2026-05-01T00:00Z", "2026-06-01T00:00Z"),
    ],
)
async def test_evaluations_are_summed_up_per_variation_and_interval(
    api: ApiClient,
    environment: Environment,
    store: MongoStore,
    interval: int,
    start: str,
    end: str,
) -> None:
    begin, finish = datetime.fromisoformat(start), datetime.fromisoformat(end)
    second = timedelta(seconds=1)
    await track(
        store,
        environment,
        evaluation(begin - second, count=100),
        evaluation(begin, count=2),
        evaluation(finish - second, count=3),
        evaluation(begin, variation="off", count=7),
        evaluation(finish, count=100),
    )
    # The range is widened to whole intervals.
    counts = await report(api, environment, begin + second, finish, interval=interval)
    assert counts == [(begin, finish, "off", 7), (begin, finish, "on", 5)]


async def test_minutes_of_the_last_hours_are_reported(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - HOUR
    later = minute + timedelta(minutes=1)
    await track(store, environment, evaluation(minute, count=2), evaluation(later, count=3))
    counts = await report(
        api, environment, minute, later + timedelta(minutes=1), interval=pb.INTERVAL_MINUTE
    )
    assert [(start, count) for start, _, _, count in counts] == [(minute, 2), (later, 3)]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/Havana", date(2026, 3, 8), 23),  # where midnight is skipped
        ("America/Havana", date(2026, 11, 1), 25),  # where it comes twice
        ("Asia/Kolkata", date(2026, 5, 4), 24),
        ("UTC", date(2026, 5, 4), 24),
    ],
)
async def test_a_day_is_one_of_its_time_zone_also_when_the_clocks_change(
    api: ApiClient,
    environment: Environment,
    store: MongoStore,
    zone: str,
    day: date,
    hours: int,
) -> None:
    midnight = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
    first = midnight.replace(minute=0) + (HOUR if midnight.minute else timedelta())
    every_hour = [evaluation(first + n * HOUR) for n in range(-30, 60)]
    await track(store, environment, *every_hour)
    noon = midnight + 12 * HOUR
    counts = await report(api, environment, noon, noon + HOUR, time_zone=zone)
    assert counts == [(midnight, midnight + hours * HOUR, "on", hours)]


async def test_a_week_begins_on_monday_and_one_with_a_change_of_clocks_is_longer(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    monday = datetime(2026, 10, 19, tzinfo=berlin).astimezone(UTC)
    await track(store, environment, evaluation(monday), evaluation(monday - HOUR))
    counts = await report(
        api,
        environment,
        monday + 3 * DAY,
        monday + 4 * DAY,
        interval=pb.INTERVAL_WEEK,
        time_zone="Europe/Berlin",
    )
    assert counts == [(monday, monday + 7 * DAY + HOUR, "on", 1)]


async def test_a_date_that_a_time_zone_never_had_is_no_day(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    before = datetime(2011, 12, 30, 9, 30, tzinfo=UTC)  # the 29th in Samoa; the 31st follows
    await track(store, environment, evaluation(before), evaluation(before + HOUR))
    counts = await report(api, environment, before, before + 2 * HOUR, time_zone="Pacific/Apia")
    midnight = datetime(2011, 12, 30, 10, tzinfo=UTC)
    assert [(start, end) for start, end, _, _ in counts] == [
        (midnight - DAY, midnight),
        (midnight, midnight + DAY),
    ]


async def test_users_are_counted_once_per_interval_and_once_in_all(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    for hour in range(2):
        users = [f"u{n}" for n in range(hour * 50, hour * 50 + 100)]
        at = NOON + hour * DAY
        await track(store, environment, *(evaluation(at, user) for user in users))
        await track(store, environment, *(evaluation(at + HOUR, user) for user in users[:10]))
    request = query(environment.name, NOON, NOON + DAY + HOUR, count_users=True)
    answer = await api.call(api.reports.QueryEvaluations, request)
    assert [(each.evaluations, each.users) for each in answer.counts] == [(110, 100)] * 2
    (total,) = answer.totals
    assert (total.variation_id, total.evaluations, total.users) == ("on", 220, 150)
    request.count_users = False
    answer = await api.call(api.reports.QueryEvaluations, request)
    assert not any(each.HasField("users") for each in (*answer.counts, *answer.totals))


async def test_an_estimate_of_many_users_is_within_the_bound_that_is_stated(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    users = 20_000
    for part in range(4):
        some = range(part * users // 4, (part + 1) * users // 4)
        await track(
            store, environment, *(evaluation(NOON + part * HOUR, f"user-{n}") for n in some)
        )
    request = query(environment.name, NOON, NOON + DAY, count_users=True)
    (total,) = (await api.call(api.reports.QueryEvaluations, request)).totals
    assert abs(total.users - users) < 0.049 * users


async def test_a_range_beyond_its_limits_is_refused_field_by_field(
    api: ApiClient, environment: Environment
) -> None:
    now = datetime.now(UTC)
    for request, fields in (
        (query(environment.name, NOON, NOON), {"end_time"}),
        (query(environment.name, NOON, NOON + 1_831 * DAY), {"end_time"}),
        (query(environment.name, NOON, NOON + 1_501 * DAY), {"end_time"}),
        (query(environment.name, NOON, NOON + DAY, interval=pb.INTERVAL_MINUTE), {"start_time"}),
        (query(environment.name, now, now + 26 * HOUR, interval=pb.INTERVAL_MINUTE), {"end_time"}),
        (query(environment.name, NOON, NOON + DAY, interval=pb.INTERVAL_UNSPECIFIED), {"interval"}),
        (query(environment.name, NOON, NOON + DAY, time_zone="Europe/Bielefeld"), {"time_zone"}),
        (query(environment.name, NOON, NOON + DAY, time_zone="Europe"), {"time_zone"}),
        (query(environment.name, NOON, NOON + DAY, time_zone="/etc/passwd"), {"time_zone"}),
        (query(environment.name, NOON, NOON + DAY, time_zone="x" * 5_000), {"time_zone"}),
        (
            query(environment.name, datetime(1, 1, 1, tzinfo=UTC), NOON),
            {"start_time"},
        ),
        (
            pb.QueryEvaluationsRequest(),
            {"parent", "flag_key", "start_time", "end_time", "interval"},
        ),
    ):
        error = await api.refused(api.reports.QueryEvaluations, request)
        assert set(violations(error)) == fields, request


async def test_as_many_intervals_as_the_limit_says_are_reported(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    await track(store, environment, evaluation(NOON))
    assert len(await report(api, environment, NOON, NOON + 1_499 * DAY)) == 1


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
@pytest.mark.parametrize(
    ("interval", "length"),
    [
        (pb.INTERVAL_DAY, Interval.DAY),
        (pb.INTERVAL_WEEK, Interval.WEEK),
        (pb.INTERVAL_MONTH, Interval.MONTH),
    ],
)
async def test_days_weeks_and_months_have_the_hours_that_begin_in_them(
    api: ApiClient,
    environment: Environment,
    store: MongoStore,
    zone: str,
    interval: int,
    length: Interval,
) -> None:
    hours = [NOON.replace(minute=0) + n * HOUR for n in range(0, 2_400, 5)]
    await track(store, environment, *(evaluation(at, f"u{at.day}") for at in hours))
    edges = bounds(hours[0], hours[-1] + HOUR, length, ZoneInfo(zone), 1_500)
    assert edges is not None
    expected = [[at for at in hours if start <= at < end] for start, end in pairwise(edges)]
    request = query(
        environment.name,
        hours[0],
        hours[-1] + HOUR,
        interval=interval,
        time_zone=zone,
        count_users=True,
    )
    answer = await api.call(api.reports.QueryEvaluations, request)
    found = [(each.start.ToDatetime(UTC), each.evaluations, each.users) for each in answer.counts]
    assert found == [
        (start, len(own), len({at.day for at in own}))
        for start, own in zip(edges[:-1], expected, strict=True)
    ]


@pytest.mark.parametrize("interval", [pb.INTERVAL_HOUR, pb.INTERVAL_DAY, pb.INTERVAL_MONTH])
async def test_a_report_counts_the_same_evaluations_with_users_and_without(
    api: ApiClient, environment: Environment, store: MongoStore, interval: int
) -> None:
    hours = range(0, 1_500, 7)
    events = [
        evaluation(NOON + n * HOUR, variation="on" if n % 2 else "off", count=n + 1) for n in hours
    ]
    await track(store, environment, *events)
    found = [
        await report(
            api,
            environment,
            NOON,
            NOON + 1_499 * HOUR,
            interval=interval,
            time_zone="Europe/Berlin",
            count_users=users,
        )
        for users in (False, True)
    ]
    assert found[0] == found[1]
    assert sum(count for _, _, _, count in found[0]) == sum(n + 1 for n in hours)


async def variation_users(
    api: ApiClient, environment: Environment, size: int, **fields: Any
) -> list[pb.VariationUser]:
    request = pb.ListVariationUsersRequest(
        parent=environment.name,
        flag_key="f",
        variation_id="on",
        page=PageRequest(size=size),
        **fields,
    )
    found: list[pb.VariationUser] = []
    while True:
        answer = await api.call(api.reports.ListVariationUsers, request)
        found += answer.users
        request.page.token = answer.next_token
        if not answer.next_token:
            return found


async def test_users_of_a_variation_are_listed_with_when_they_got_it_last(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    await see_users(store, environment.id, [Context("ada", "Ada")], now)
    await track(
        store,
        environment,
        evaluation(now - DAY, "ada"),
        *(evaluation(now - timedelta(seconds=n), "busy") for n in range(600)),
        evaluation(now - 2 * DAY, "carl"),
        evaluation(now, "off", "off"),
        evaluation(now, "other", flag="g"),
    )
    for size in (1, 2, 10):
        users = await variation_users(api, environment, size)
        assert [(each.key, each.name, each.last_time.ToDatetime(UTC)) for each in users] == [
            ("ada", "Ada", now - DAY),
            ("busy", "", now),
            ("carl", "", now - 2 * DAY),
        ]
    found = await variation_users(api, environment, 1, key_prefix="c")
    assert [each.key for each in found] == ["carl"]


async def test_what_a_flag_served_last_stands_beside_what_it_serves_now(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    await create_flag(api, environment, "f")
    await create_flag(api, environment, "g")
    await see_users(store, environment.id, [Context("ada")], now)
    await track(
        store,
        environment,
        evaluation(now - HOUR, variation="on"),
        evaluation(now, variation="off"),
        evaluation(now, "bob", variation="on"),
    )
    request = end_user_service_pb2.ListServedFlagsRequest(parent=environment.name, key="ada")
    f, g = (await api.call(api.users.ListServedFlags, request)).flags
    assert (f.result.variation_id, f.last_variation_id) == ("on", "off")
    assert f.last_time.ToDatetime(UTC) == now
    assert (g.last_variation_id, g.HasField("last_time")) == ("", False)


async def test_a_flag_asked_for_all_the_time_does_not_hide_what_another_served_last(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    await create_flag(api, environment, "busy")
    await create_flag(api, environment, "rare")
    await see_users(store, environment.id, [Context("ada")], now)
    await track(
        store,
        environment,
        evaluation(now - 20 * DAY, variation="on", flag="rare"),
        evaluation(now - 21 * DAY, variation="gone", flag="rare"),
        *(evaluation(now - timedelta(seconds=n), flag="busy") for n in range(1_200)),
    )
    request = end_user_service_pb2.ListServedFlagsRequest(parent=environment.name, key="ada")
    busy, rare = (await api.call(api.users.ListServedFlags, request)).flags
    assert busy.last_time.ToDatetime(UTC) == now
    assert (rare.last_variation_id, rare.last_time.ToDatetime(UTC)) == ("on", now - 20 * DAY)


async def test_usage_is_summed_up_by_month_with_active_users(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    await track(
        store,
        environment,
        evaluation(NOON, "ada", count=5),
        evaluation(NOON + DAY, "ada", flag="g", count=6),
        bought(NOON, "bob"),
        evaluation(NOON + 31 * DAY, "ada"),
    )
    lossy = InsightBatch(environment.id, "lossy", milliseconds(NOON), (), (), dropped=4)
    await store.insights.store_insights([lossy])
    request = pb.QueryUsageRequest(
        parent=environment.name,
        start_time=timestamp(NOON),
        end_time=timestamp(NOON + 40 * DAY),
        interval=pb.INTERVAL_MONTH,
    )
    answer = await api.call(api.reports.QueryUsage, request)
    may, june = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    assert [
        (each.start.ToDatetime(UTC), each.evaluations, each.events, each.active_users)
        for each in answer.usage
    ] == [(may, 11, 1, 2), (june, 1, 0, 1)]
    total = answer.total
    assert (total.evaluations, total.events, total.active_users) == (12, 1, 2)
    assert total.dropped_events == 4


async def test_usage_by_the_hour_is_refused(api: ApiClient, environment: Environment) -> None:
    request = pb.QueryUsageRequest(
        parent=environment.name,
        start_time=timestamp(NOON),
        end_time=timestamp(NOON + DAY),
        interval=pb.INTERVAL_HOUR,
    )
    error = await api.refused(api.reports.QueryUsage, request)
    assert set(violations(error)) == {"interval"}


async def test_the_data_of_an_experiment_counts_a_user_once_and_events_after_exposure(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    def exposed(user: str, variation: str, time: datetime = NOON) -> EvaluationEvent:
        return evaluation(time, user, variation, in_experiment=True)

    await track(
        store,
        environment,
        exposed("ada", "a"),
        exposed("ada", "a", NOON + HOUR),
        exposed("bob", "a"),
        exposed("eve", "b"),
        exposed("both", "a"),
        exposed("both", "b", NOON + HOUR),
        evaluation(NOON, "outside", "a"),
        bought(NOON - HOUR, "ada", 100),
        bought(NOON, "ada", 2),
        bought(NOON + DAY, "ada", 3),
        bought(NOON + DAY, "both", 50),
        bought(NOON + DAY, "outside", 50),
        bought(NOON + DAY, "eve", 4),
    )
    request = pb.GetExperimentDataRequest(
        parent=environment.name, flag_key="f", event_name="bought"
    )
    a, b = (await api.call(api.reports.GetExperimentData, request)).variations
    assert a == pb.ExperimentVariation(
        variation_id="a",
        users=2,
        users_of_several=1,
        converted_users=1,
        events=2,
        sum=5,
        sum_of_squares=25,
    )
    assert b == pb.ExperimentVariation(
        variation_id="b", users=1, converted_users=1, events=1, sum=4, sum_of_squares=16
    )


async def test_an_unknown_environment_has_no_reports(api: ApiClient) -> None:
    later = timestamp(NOON + HOUR)
    day = pb.INTERVAL_DAY
    for method, request in (
        (api.reports.QueryEvaluations, query(NOWHERE, NOON, NOON + HOUR)),
        (
            api.reports.QueryUsage,
            pb.QueryUsageRequest(
                parent=NOWHERE, start_time=timestamp(NOON), end_time=later, interval=day
            ),
        ),
        (
            api.reports.ListVariationUsers,
            pb.ListVariationUsersRequest(parent=NOWHERE, flag_key="f", variation_id="on"),
        ),
        (api.reports.ListStaleFlags, pb.ListStaleFlagsRequest(parent=NOWHERE)),
        (
            api.reports.GetExperimentData,
            pb.GetExperimentDataRequest(parent=NOWHERE, flag_key="f"),
        ),
    ):
        assert (await api.refused(method, request)).code() == grpc.StatusCode.NOT_FOUND
