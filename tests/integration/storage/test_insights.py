from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient

from services.standalone.mongod import EmbeddedMongod
from services.storage.model.events import (
    EvaluationCount,
    EvaluationEvent,
    InsightBatch,
    MetricEvent,
    MetricKind,
)
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import NOON
from tests.support.resources import Environment, make_environment

NOON_SHARP = NOON.replace(microsecond=0)
HOUR = timedelta(hours=1)


def milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def evaluation(
    last_time: datetime,
    *,
    count: int = 1,
    flag: str = "a",
    variation: str = "on",
    user: str = "ada",
    in_experiment: bool = False,
) -> EvaluationEvent:
    times = (milliseconds(NOON - HOUR), milliseconds(last_time))
    return EvaluationEvent(flag, variation, user, 7, in_experiment, count, *times)


def batch(environment: Environment, batch_id: str, *events: EvaluationEvent) -> InsightBatch:
    metric = MetricEvent("bought", "ada", 9.5, MetricKind.CUSTOM, milliseconds(NOON))
    return InsightBatch(environment.id, batch_id, milliseconds(NOON), events, (metric,))


async def stored(store: MongoStore, *batches: InsightBatch) -> int:
    return await store.insights.store_insights(batches)


async def counts(store: MongoStore, environment: Environment) -> list[EvaluationCount]:
    return await store.insights.count_evaluations(
        environment.id, "a", NOON - 24 * HOUR, NOON + 24 * HOUR
    )


async def test_evaluations_are_counted_by_hour_and_variation(
    store: MongoStore, environment: Environment
) -> None:
    events = (
        evaluation(NOON, count=2),
        evaluation(NOON + timedelta(minutes=59), count=3),
        evaluation(NOON, variation="off"),
        evaluation(NOON + HOUR, count=5),
        evaluation(NOON, flag="b", count=100),
    )
    assert await stored(store, batch(environment, "1", *events)) == 1
    assert await stored(store, batch(environment, "2", evaluation(NOON, count=10))) == 1
    assert await counts(store, environment) == [
        EvaluationCount(NOON_SHARP, "off", 1),
        EvaluationCount(NOON_SHARP, "on", 15),
        EvaluationCount(NOON_SHARP + HOUR, "on", 5),
    ]


async def test_the_hour_of_the_start_is_counted_and_that_of_the_end_is_not(
    store: MongoStore, environment: Environment
) -> None:
    events = [evaluation(NOON_SHARP + offset * HOUR) for offset in (-1, 0, 1)]
    await stored(store, batch(environment, "1", *events))
    read = await store.insights.count_evaluations(environment.id, "a", NOON, NOON_SHARP + HOUR)
    assert [one.hour for one in read] == [NOON_SHARP]


async def test_a_batch_that_was_stored_changes_nothing_when_it_comes_again(
    store: MongoStore, environment: Environment
) -> None:
    first = batch(environment, "1", evaluation(NOON, count=2))
    assert await stored(store, first) == 1
    assert await stored(store, first, batch(environment, "2"), batch(environment, "2")) == 1
    assert [one.evaluations for one in await counts(store, environment)] == [2]


async def test_a_batch_that_comes_twice_at_once_is_stored_once(
    store: MongoStore, environment: Environment
) -> None:
    one = batch(environment, "1", evaluation(NOON, count=2))
    outcomes = await asyncio.gather(*(stored(store, one) for _ in range(6)))
    assert sorted(outcomes) == [0] * 5 + [1]
    assert [one.evaluations for one in await counts(store, environment)] == [2]


async def test_a_batch_that_two_processes_store_at_once_is_stored_once(
    store: MongoStore, environment: Environment, mongodb_uri: str
) -> None:
    name = store._connection.database.name
    other = MongoStore.open(mongodb_uri, database=name, clock=lambda: NOON)
    for number in range(30):
        one = batch(environment, str(number), evaluation(NOON))
        outcomes = await asyncio.gather(stored(store, one), stored(other, one))
        assert sorted(outcomes) == [0, 1]
    await other.close()
    assert [one.evaluations for one in await counts(store, environment)] == [30]


async def test_concurrent_batches_lose_no_count(
    store: MongoStore, environment: Environment
) -> None:
    batches = [
        batch(environment, str(n), evaluation(NOON, count=n), evaluation(NOON, variation="off"))
        for n in range(1, 17)
    ]
    await asyncio.gather(*(stored(store, one) for one in batches))
    assert [one.evaluations for one in await counts(store, environment)] == [16, 136]


async def test_a_batch_id_is_taken_within_its_environment_only(
    store: MongoStore, environment: Environment
) -> None:
    other = await make_environment(store, environment.project_id, "staging")
    both = [batch(one, "1", evaluation(NOON)) for one in (environment, other)]
    assert await stored(store, *both) == 2


async def test_a_batch_without_events_is_stored(
    store: MongoStore, environment: Environment
) -> None:
    empty = InsightBatch(environment.id, "1", milliseconds(NOON), (), ())
    assert await stored(store, empty) == 1
    assert await stored(store, empty) == 0


async def test_a_batch_of_ten_thousand_events_is_stored(
    store: MongoStore, environment: Environment
) -> None:
    events = [evaluation(NOON + n * timedelta(seconds=1)) for n in range(10_000)]
    assert await stored(store, batch(environment, "1", *events))
    assert sum(one.evaluations for one in await counts(store, environment)) == 10_000


async def test_groups_of_one_process_that_count_the_same_flag_do_not_start_again(
    tmp_path: Path,
) -> None:
    async with EmbeddedMongod(tmp_path) as mongod:  # the count is the whole server's
        store = MongoStore.open(mongod.uri, database="test")
        await store.migrate()
        environment = await make_environment(store)
        before = await aborted_transactions(mongod.uri)
        for round_ in range(10):
            groups = [batch(environment, f"{round_}/{each}", evaluation(NOON)) for each in range(3)]
            await asyncio.gather(*(stored(store, each) for each in groups))
        assert await aborted_transactions(mongod.uri) == before
        (count,) = await counts(store, environment)
        await store.close()
    assert count.evaluations == 30


async def aborted_transactions(uri: str) -> int:
    """How many this server has aborted; each was work for nothing."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
    async with client:
        status = await client.admin.command("serverStatus")
    return int(status["transactions"]["totalAborted"])
