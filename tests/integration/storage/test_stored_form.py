"""What docs/protocol/insights.md promises to readers of the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.storage.model.events import EvaluationEvent, InsightBatch, MetricEvent, MetricKind
from services.storage.model.sketches import estimate, estimate_merged
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, Document, utc_now
from services.storage.mongodb.migrations import migrate
from tests.support.resources import Environment, update_environment

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
"""A whole hour that is over, and less than 48 hours ago."""


@pytest.fixture
async def database(
    mongodb_uri: str, database_name: str, store: MongoStore
) -> AsyncIterator[Connection]:
    connection = Connection(mongodb_uri, database_name, utc_now)
    yield connection
    await connection.close()


def milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def evaluation(
    user: str,
    *,
    at: datetime = HOUR,
    variation: str = "on",
    evaluations: int = 1,
    in_experiment: bool = False,
    revision: int = 7,
) -> EvaluationEvent:
    time = milliseconds(at)
    return EvaluationEvent(
        "f", variation, user, revision, in_experiment, evaluations, time, time + 1
    )


def metric(user: str, at: datetime = HOUR) -> MetricEvent:
    return MetricEvent("bought", user, 9.5, MetricKind.CLICK, milliseconds(at))


def batch(
    environment: Environment,
    batch_id: str,
    *evaluations: EvaluationEvent,
    metrics: tuple[MetricEvent, ...] = (),
) -> InsightBatch:
    now = milliseconds(datetime.now(UTC))
    return InsightBatch(environment.id, batch_id, now, evaluations, metrics)


async def all_of(database: Connection, collection: str) -> list[Document]:
    return await database[collection].find({}, {"_id": 0}).to_list(None)


async def test_an_event_is_a_document_with_all_that_was_sent(
    store: MongoStore, database: Connection, environment: Environment
) -> None:
    events = evaluation("ada", evaluations=3, in_experiment=True), metric("ada")
    await store.insights.store_insights([batch(environment, "1", events[0], metrics=events[1:])])
    later = HOUR + timedelta(milliseconds=1)
    assert await all_of(database, "flag_evaluations") == [
        {
            "environment": environment.id,
            "flag": "f",
            "variation": "on",
            "user": "ada",
            "flag_revision": 7,
            "in_experiment": True,
            "count": 3,
            "first_time": HOUR,
            "last_time": later,
            "expires_at": HOUR + MINUTE + 30 * DAY,
        }
    ]
    assert await all_of(database, "metric_events") == [
        {
            "environment": environment.id,
            "name": "bought",
            "user": "ada",
            "value": 9.5,
            "kind": "CLICK",
            "time": HOUR,
            "expires_at": HOUR + MINUTE + 30 * DAY,
        }
    ]


@pytest.mark.parametrize("text", ["ada", "Zoë", "用户", "a\0b", "$set.x"])
async def test_every_text_is_stored_as_it_is(
    store: MongoStore, database: Connection, environment: Environment, text: str
) -> None:
    event = evaluation(text)._replace(flag_key=text, variation_id=text)
    await store.insights.store_insights(
        [batch(environment, "1", event, metrics=(metric(text)._replace(name=text),))]
    )
    (stored,) = await all_of(database, "flag_evaluations")
    assert (stored["flag"], stored["variation"], stored["user"]) == (text, text, text)
    (stored,) = await all_of(database, "metric_events")
    assert (stored["name"], stored["user"]) == (text, text)
    (hour,) = await all_of(database, "flag_hours")
    assert (hour["flag"], hour["variation"], estimate(hour["users"])) == (text, text, 1)


async def test_minutes_hours_and_days_count_evaluations_and_distinct_users(
    store: MongoStore, database: Connection, environment: Environment
) -> None:
    minute = timedelta(minutes=1)
    first = batch(
        environment, "1", evaluation("ada", evaluations=2), evaluation("bob", at=HOUR + minute)
    )
    second = batch(environment, "2", evaluation("ada"), metrics=(metric("eve"), metric("eve")))
    for each in (first, second):
        await store.insights.store_insights([each])

    def seen(documents: list[Document], start: str) -> list[tuple[Any, ...]]:
        return sorted((one[start], one["evaluations"], estimate(one["users"])) for one in documents)

    minutes = await all_of(database, "flag_minutes")
    assert seen(minutes, "minute") == [(HOUR, 3, 1), (HOUR + minute, 1, 1)]
    assert minutes[0]["expires_at"] - minutes[0]["minute"] == 2 * DAY
    assert seen(await all_of(database, "flag_hours"), "hour") == [(HOUR, 4, 2)]
    (day,) = await all_of(database, "flag_days")
    assert (day["day"], day["flag"], day["variation"]) == (HOUR.replace(hour=0), "f", "on")
    assert (day["evaluations"], estimate(day["users"])) == (4, 2)
    (day,) = await all_of(database, "environment_days")
    assert day["day"] == HOUR.replace(hour=0)
    assert (day["evaluations"], day["events"], estimate(day["users"])) == (4, 2, 3)


async def test_what_sdks_lost_is_counted_once_on_the_day_on_which_they_say_so(
    store: MongoStore, database: Connection, environment: Environment
) -> None:
    lossy = replace(batch(environment, "1", evaluation("ada", at=HOUR - 40 * DAY)), dropped=7)
    for _ in range(2):
        await store.insights.store_insights([lossy])
    days = {one["day"]: one for one in await all_of(database, "environment_days")}
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert days[today]["dropped"] == 7
    assert sum(day["dropped"] for day in days.values()) == 7


async def test_what_is_older_than_minutes_are_kept_makes_none(
    store: MongoStore, database: Connection, environment: Environment
) -> None:
    old = evaluation("ada", at=HOUR - 3 * DAY)
    await store.insights.store_insights([batch(environment, "1", old)])
    assert await all_of(database, "flag_minutes") == []
    assert len(await all_of(database, "flag_hours")) == 1


async def test_two_processes_that_meet_move_to_parts_of_their_own_and_lose_nothing(
    mongodb_uri: str,
    database_name: str,
    store: MongoStore,
    database: Connection,
    environment: Environment,
) -> None:
    other = MongoStore.open(mongodb_uri, database=database_name)
    try:
        for number in range(10):
            await asyncio.gather(
                *(
                    each.insights.store_insights(
                        [batch(environment, f"{name}-{number}", evaluation(f"{name}-{number}"))]
                    )
                    for name, each in (("a", store), ("b", other))
                )
            )
    finally:
        await other.close()
    hours = await all_of(database, "flag_hours")
    assert sum(hour["evaluations"] for hour in hours) == 20
    assert estimate_merged(hour["users"] for hour in hours) == 20
    assert all(0 <= hour["part"] < 16 for hour in hours)


async def test_events_are_kept_as_long_as_their_environment_says(
    store: MongoStore, database: Connection, environment: Environment
) -> None:
    await update_environment(store, environment.id, retention_days=400)
    await store.insights.store_insights(
        [batch(environment, "1", evaluation("ada"), metrics=(metric("ada"),))]
    )
    for collection, time in (("flag_evaluations", "last_time"), ("metric_events", "time")):
        (stored,) = await all_of(database, collection)
        minute = stored[time].replace(second=0, microsecond=0)
        assert stored["expires_at"] == minute + MINUTE + 400 * DAY


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
async def test_the_first_exposure_stays_in_whatever_order_exposures_come(
    store: MongoStore, database: Connection, environment: Environment, order: tuple[int, ...]
) -> None:
    exposures = [
        evaluation("ada", at=HOUR, variation="b", in_experiment=True, revision=3),
        evaluation("ada", at=HOUR + timedelta(seconds=1), variation="a", in_experiment=True),
        evaluation("ada", at=HOUR + timedelta(seconds=2), variation="b", in_experiment=True),
    ]
    for index in order:
        for batch_id in (f"{index}", f"{index}"):  # each is delivered twice
            await store.insights.store_insights(
                [batch(environment, batch_id, exposures[index], evaluation("ada", variation="c"))]
            )
    assert await all_of(database, "experiment_exposures") == [
        {
            "environment": environment.id,
            "flag": "f",
            "user": "ada",
            "variation": "b",
            "flag_revision": 3,
            "first_time": HOUR,
            "several": True,
        }
    ]


async def test_a_user_of_one_variation_is_not_marked_and_exposures_of_one_batch_are_merged(
    store: MongoStore, database: Connection, environment: Environment
) -> None:
    events = [
        evaluation(user, at=HOUR + timedelta(seconds=at), variation=variation, in_experiment=True)
        for user, at, variation in (
            ("ada", 5, "b"), ("ada", 1, "b"), ("bob", 2, "b"), ("bob", 2, "a"),
        )
    ]  # fmt: skip
    await store.insights.store_insights([batch(environment, "1", *events)])
    stored = {one["user"]: one for one in await all_of(database, "experiment_exposures")}
    ada, bob = stored["ada"], stored["bob"]
    assert (ada["variation"], ada["first_time"], ada["several"]) == (
        "b",
        HOUR + timedelta(seconds=1),
        False,
    )
    assert (bob["variation"], bob["several"]) == ("a", True)


async def test_events_of_version_2_get_an_end_and_their_old_indexes_go(
    store: MongoStore, database: Connection, environment: Environment
) -> None:
    received = HOUR - DAY
    await database["flag_evaluations"].insert_one({"flag": "old", "received_at": received})
    await database["flag_evaluations"].create_index("received_at", expireAfterSeconds=2_592_000)
    await database["flag_evaluations"].create_index(["environment", "user", "last_time"])
    await database["flag_hours"].create_index(
        ["environment", "flag", "hour", "variation"], unique=True
    )
    await database["flag_hours"].insert_one(
        {"environment": environment.id, "flag": "f", "hour": HOUR, "variation": "on",
         "evaluations": 5}
    )  # fmt: skip
    for _ in range(2):
        await migrate(database)
    await store.insights.store_insights([batch(environment, "1", evaluation("ada"))])

    old = await database["flag_evaluations"].find_one({"flag": "old"}, {"_id": 0})
    assert old == {"flag": "old", "expires_at": received + 30 * DAY}
    names = await database["flag_evaluations"].index_information()
    assert names.keys().isdisjoint({"received_at_1", "environment_1_user_1_last_time_1"})
    counted = await store.insights.count_evaluations(environment.id, "f", HOUR, HOUR + DAY)
    assert [one.evaluations for one in counted] == [6]
