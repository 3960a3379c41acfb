from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

import pytest

from featmesh.engine.model import Context
from services.ingest.app import IngestApp
from services.messaging.ports import Bus, Message, Topic
from services.runtime.errors import BrokerUnavailable
from services.storage.model.end_users import EndUser, UserFilter
from services.storage.model.events import EvaluationCount
from services.storage.mongodb import MongoStore
from tests.integration.ingest.batches import (
    HOUR,
    evaluated,
    insights_message,
    message,
    users_message,
)
from tests.integration.ingest.conftest import NOT_SERVING, SERVING, running, until, until_health
from tests.support.proxy import TcpProxy
from tests.support.resources import Environment

ANN = Context("ann", "Ann", {"country": "CH", "age": 41.0, "beta": True, "roles": ("a", "b")})


async def counts(store: MongoStore, environment: Environment) -> list[EvaluationCount]:
    end = HOUR + timedelta(hours=3)
    return await store.insights.count_evaluations(environment.id, "checkout", HOUR, end)


async def seen_keys(store: MongoStore, environment: Environment) -> list[str]:
    page = await store.end_users.search_end_users(environment.id, 100, "", user_filter=UserFilter())
    return [user.context.key for user in page.items]


@pytest.mark.usefixtures("ingest")
async def test_users_reach_the_store_with_their_attributes(
    store: MongoStore, bus: Bus, environment: Environment
) -> None:
    await bus.publish(Topic.USERS, users_message(environment.id, ANN, Context("bob")))

    both = ["ann", "bob"]  # stored one by one
    await until(lambda: seen_keys(store, environment), lambda found: found == both)
    page = await store.end_users.search_end_users(
        environment.id, 1, "", user_filter=UserFilter(key_prefix="ann")
    )
    assert page.items[0].context == ANN
    assert page.items[0].last_seen == HOUR


@pytest.mark.usefixtures("ingest")
async def test_users_of_messages_that_are_stored_together_are_merged_by_their_times(
    store: MongoStore, bus: Bus, environment: Environment
) -> None:
    """The later message comes first, and the earlier one twice, as after a crash."""
    early, late = HOUR, HOUR + timedelta(minutes=5)
    plan_then = Context("ann", "A", {"plan": "free", "old": "kept"})
    plan_now = Context("ann", "Ann", {"plan": "pro"})
    messages = [
        users_message(environment.id, plan_now, at=late),
        *(users_message(environment.id, plan_then, at=early) for _ in range(2)),
        users_message(environment.id, Context("bob"), at=late),
    ]
    await asyncio.gather(*(bus.publish(Topic.USERS, each) for each in messages))

    await until(lambda: seen_keys(store, environment), lambda found: found == ["ann", "bob"])
    expected = EndUser(Context("ann", "Ann", {"plan": "pro", "old": "kept"}), early, late)
    ann = UserFilter(key_prefix="ann")
    look = partial(store.end_users.search_end_users, environment.id, 1, "", user_filter=ann)
    await until(look, lambda page: page.items == (expected,))


@pytest.mark.usefixtures("ingest")
async def test_evaluations_are_counted_per_variation_and_hour(
    store: MongoStore, bus: Bus, environment: Environment
) -> None:
    later = HOUR + timedelta(hours=1)
    first = insights_message(environment.id, evaluated("on", count=3), evaluated("off"))
    second = insights_message(environment.id, evaluated("on", count=2), evaluated("on", at=later))
    await asyncio.gather(*(bus.publish(Topic.INSIGHTS, batch) for batch in (first, second)))

    expected = [
        EvaluationCount(HOUR, "off", 1),
        EvaluationCount(HOUR, "on", 5),
        EvaluationCount(later, "on", 1),
    ]
    await until(lambda: counts(store, environment), lambda found: found == expected)


@pytest.mark.usefixtures("ingest")
async def test_a_batch_that_comes_twice_counts_once(
    store: MongoStore, bus: Bus, environment: Environment
) -> None:
    for batch_id in ("the-same", "the-same", "another"):
        batch = insights_message(environment.id, evaluated("on", count=4), batch_id=batch_id)
        await bus.publish(Topic.INSIGHTS, batch)

    expected = [EvaluationCount(HOUR, "on", 8)]
    await until(lambda: counts(store, environment), lambda found: found == expected)
    assert await bus.list_dead_letters(10) == []


@pytest.mark.usefixtures("ingest")
async def test_what_cannot_be_decoded_is_a_dead_letter_and_later_messages_flow(
    store: MongoStore, bus: Bus, environment: Environment
) -> None:
    bad = message(environment.id, b"\xff\xff not protobuf")
    broken = asyncio.create_task(bus.publish(Topic.USERS, bad))
    await bus.publish(Topic.USERS, users_message(environment.id, ANN))
    assert await until(lambda: seen_keys(store, environment)) == ["ann"]

    await broken
    letters = await until(lambda: bus.list_dead_letters(10))
    assert [letter.message_id for letter in letters] == [bad.id]
    assert letters[0].reason == "featmesh.messaging.v1.UserBatch: not a valid message of this type"


@pytest.mark.usefixtures("ingest")
async def test_the_reason_of_a_dead_letter_names_the_field(bus: Bus) -> None:
    bad: list[tuple[Topic, Message, str]] = [
        (Topic.USERS, users_message("e", ANN, Context("")), "users[1].key: has 0 bytes"),
        (
            Topic.INSIGHTS,
            insights_message("e", evaluated("")),
            "evaluations[0].variation_id: is required",
        ),
        (Topic.INSIGHTS, insights_message("e", evaluated("on", count=0)), "evaluations[0].count:"),
        (Topic.INSIGHTS, insights_message("", evaluated("on")), "environment_id: has 0 bytes"),
    ]
    await asyncio.gather(*(bus.publish(topic, batch) for topic, batch, _ in bad))

    letters = await until(
        lambda: bus.list_dead_letters(10), lambda letters: len(letters) == len(bad)
    )
    reasons = {letter.message_id: (letter.topic, letter.reason) for letter in letters}
    for topic, batch, reason in bad:
        found_topic, found_reason = reasons[batch.id]
        assert found_topic is topic
        assert found_reason.startswith(reason)


async def test_while_the_store_is_away_a_message_waits_and_is_stored_when_it_is_back(
    mongodb_uri: str, store: MongoStore, bus: Bus, database_name: str, environment: Environment
) -> None:
    target = urlsplit(mongodb_uri)
    proxy = TcpProxy(target.hostname or "127.0.0.1", target.port or 27017)
    await proxy.open()
    uri = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
    far_store = MongoStore.open(uri, database=database_name)
    try:
        async with running(far_store, bus, uri=uri) as app:
            await proxy.cut()
            waiting = users_message(environment.id, ANN)
            published = asyncio.create_task(bus.publish(Topic.USERS, waiting))
            await until_health(app.port, NOT_SERVING)
            assert await seen_keys(store, environment) == []

            await proxy.open()
            await until_health(app.port, SERVING)
            assert await until(lambda: seen_keys(store, environment)) == ["ann"]
            with suppress(BrokerUnavailable):  # in-process: not stored within 5 seconds
                await published
            assert await bus.list_dead_letters(10) == []
    finally:
        await far_store.close()
        await proxy.cut()


async def test_a_second_replica_takes_over_when_the_first_stops(
    mongodb_uri: str,
    store: MongoStore,
    bus: Bus,
    environment: Environment,
    ingest: IngestApp,
) -> None:
    async with running(store, bus, uri=mongodb_uri):
        await ingest.stop()
        await bus.publish(Topic.USERS, users_message(environment.id, ANN))
        assert await until(lambda: seen_keys(store, environment)) == ["ann"]
