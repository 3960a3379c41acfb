from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from pymongo import AsyncMongoClient

from services.storage.model import (
    Environment,
    EvaluationCount,
    EvaluationEvent,
    InsightBatch,
    MetricEvent,
    MetricKind,
)
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import NOON

NOON_SHARP = NOON.replace(microsecond=0)
HOUR = timedelta(hours=1)


def evaluation(
    last_time: datetime, *, count: int = 1, flag: str = "a", variation: str = "on"
) -> EvaluationEvent:
    return EvaluationEvent(flag, variation, "ada", 7, False, count, NOON - HOUR, last_time)


def batch(environment: Environment, batch_id: str, *events: EvaluationEvent) -> InsightBatch:
    metric = MetricEvent("bought", "ada", 9.5, MetricKind.CUSTOM, NOON)
    return InsightBatch(environment.id, batch_id, NOON, events, (metric,))


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
    assert await store.insights.store_insights(batch(environment, "1", *events))
    assert await store.insights.store_insights(batch(environment, "2", evaluation(NOON, count=10)))
    assert await counts(store, environment) == [
        EvaluationCount(NOON_SHARP, "off", 1),
        EvaluationCount(NOON_SHARP, "on", 15),
        EvaluationCount(NOON_SHARP + HOUR, "on", 5),
    ]


async def test_the_hour_of_the_start_is_counted_and_that_of_the_end_is_not(
    store: MongoStore, environment: Environment
) -> None:
    events = [evaluation(NOON_SHARP + offset * HOUR) for offset in (-1, 0, 1)]
    await store.insights.store_insights(batch(environment, "1", *events))
    read = await store.insights.count_evaluations(environment.id, "a", NOON, NOON_SHARP + HOUR)
    assert [one.hour for one in read] == [NOON_SHARP]


async def test_a_batch_that_was_stored_changes_nothing_when_it_comes_again(
    store: MongoStore, environment: Environment
) -> None:
    first = batch(environment, "1", evaluation(NOON, count=2))
    assert await store.insights.store_insights(first) is True
    assert await store.insights.store_insights(first) is False
    assert [one.evaluations for one in await counts(store, environment)] == [2]


async def test_a_batch_that_comes_twice_at_once_is_stored_once(
    store: MongoStore, environment: Environment
) -> None:
    one = batch(environment, "1", evaluation(NOON, count=2))
    outcomes = await asyncio.gather(*(store.insights.store_insights(one) for _ in range(6)))
    assert sorted(outcomes) == [False] * 5 + [True]
    assert [one.evaluations for one in await counts(store, environment)] == [2]


async def test_concurrent_batches_lose_no_count(
    store: MongoStore, environment: Environment
) -> None:
    batches = [
        batch(environment, str(n), evaluation(NOON, count=n), evaluation(NOON, variation="off"))
        for n in range(1, 17)
    ]
    await asyncio.gather(*map(store.insights.store_insights, batches))
    assert [one.evaluations for one in await counts(store, environment)] == [16, 136]


async def test_a_batch_id_is_taken_within_its_environment_only(
    store: MongoStore, environment: Environment
) -> None:
    other = await store.tenancy.create_environment(environment.project_id, "staging", "Staging")
    assert await store.insights.store_insights(batch(environment, "1", evaluation(NOON)))
    assert await store.insights.store_insights(batch(other, "1", evaluation(NOON)))


async def test_a_batch_without_events_is_stored(
    store: MongoStore, environment: Environment
) -> None:
    empty = InsightBatch(environment.id, "1", NOON, (), ())
    assert await store.insights.store_insights(empty) is True
    assert await store.insights.store_insights(empty) is False


async def test_a_batch_of_ten_thousand_events_is_stored(
    store: MongoStore, environment: Environment
) -> None:
    events = [evaluation(NOON + n * timedelta(seconds=1)) for n in range(10_000)]
    assert await store.insights.store_insights(batch(environment, "1", *events))
    assert sum(one.evaluations for one in await counts(store, environment)) == 10_000


async def test_batches_that_count_the_same_flag_take_turns_instead_of_starting_again(
    store: MongoStore, environment: Environment, mongodb_uri: str
) -> None:
    before = await aborted_transactions(mongodb_uri)
    batches = [batch(environment, f"{number}", evaluation(NOON)) for number in range(30)]
    await asyncio.gather(*(store.insights.store_insights(each) for each in batches))
    assert await aborted_transactions(mongodb_uri) == before
    (count,) = await counts(store, environment)
    assert count.evaluations == 30


async def aborted_transactions(uri: str) -> int:
    """How many this server has aborted; each was work for nothing."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
    async with client:
        status = await client.admin.command("serverStatus")
    return int(status["transactions"]["totalAborted"])
