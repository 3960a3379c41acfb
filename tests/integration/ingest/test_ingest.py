from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from featmesh.engine.model import Context
from services.ingest.app import IngestApp
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Message, Topic
from services.runtime.errors import BrokerUnavailable
from services.storage.model import Environment, EvaluationCount
from services.storage.mongodb import MongoStore
from tests.integration.ingest.batches import (
    HOUR,
    evaluated,
    insights_message,
    message,
    users_message,
)
from tests.integration.ingest.conftest import NOT_SERVING, SERVING, running, until, until_health
from tests.integration.ingest.outage import CuttableProxy

ANN = Context("ann", "Ann", {"country": "CH", "age": 41.0, "beta": True, "roles": ("a", "b")})

pytestmark = pytest.mark.usefixtures("ingest")


async def counts(store: MongoStore, environment: Environment) -> list[EvaluationCount]:
    end = HOUR + timedelta(hours=3)
    return await store.insights.count_evaluations(environment.id, "checkout", HOUR, end)


async def seen_keys(store: MongoStore, environment: Environment) -> list[str]:
    page = await store.insights.list_end_users(environment.id, 100, "", key_prefix="")
    return [user.context.key for user in page.items]


async def test_users_reach_the_store_with_their_attributes(
    store: MongoStore, bus: InProcessBus, environment: Environment
) -> None:
    await bus.publish(Topic.USERS, users_message(environment.id, ANN, Context("bob")))

    page = await store.insights.list_end_users(environment.id, 100, "", key_prefix="")
    assert [user.context.key for user in page.items] == ["ann", "bob"]
    assert page.items[0].context == ANN
    assert page.items[0].last_seen == HOUR


async def test_evaluations_are_counted_per_variation_and_hour(
    store: MongoStore, bus: InProcessBus, environment: Environment
) -> None:
    later = HOUR + timedelta(hours=1)
    first = insights_message(environment.id, evaluated("on", count=3), evaluated("off"))
    second = insights_message(environment.id, evaluated("on", count=2), evaluated("on", at=later))
    await asyncio.gather(*(bus.publish(Topic.INSIGHTS, batch) for batch in (first, second)))

    assert await counts(store, environment) == [
        EvaluationCount(HOUR, "off", 1),
        EvaluationCount(HOUR, "on", 5),
        EvaluationCount(later, "on", 1),
    ]


async def test_a_batch_that_comes_twice_counts_once(
    store: MongoStore, bus: InProcessBus, environment: Environment
) -> None:
    for _ in range(2):
        batch = insights_message(environment.id, evaluated("on", count=4), batch_id="the-same")
        await bus.publish(Topic.INSIGHTS, batch)

    assert await counts(store, environment) == [EvaluationCount(HOUR, "on", 4)]
    assert await bus.list_dead_letters(10) == []


async def test_what_cannot_be_decoded_is_a_dead_letter_and_later_messages_flow(
    store: MongoStore, bus: InProcessBus, environment: Environment
) -> None:
    broken = asyncio.create_task(
        bus.publish(Topic.USERS, message(environment.id, b"\xff\xff not protobuf"))
    )
    await bus.publish(Topic.USERS, users_message(environment.id, ANN))
    assert await seen_keys(store, environment) == ["ann"]

    await broken
    letters = await bus.list_dead_letters(10)
    assert [letter.reason for letter in letters] == [
        "featmesh.messaging.v1.UserBatch: not a valid message of this type"
    ]


@pytest.mark.parametrize(
    ("topic", "batch", "reason"),
    [
        (Topic.USERS, users_message("e", Context("ok"), Context("")), "users[1].key: has 0 bytes"),
        (Topic.INSIGHTS, insights_message("e", evaluated("")), "evaluations[0].variation_id: has"),
        (Topic.INSIGHTS, insights_message("e", evaluated("on", count=0)), "evaluations[0].count:"),
        (Topic.INSIGHTS, insights_message("", evaluated("on")), "environment_id: has 0 bytes"),
    ],
    ids=["user-without-key", "no-variation", "no-count", "no-environment"],
)
async def test_the_reason_of_a_dead_letter_names_the_field(
    bus: InProcessBus, topic: Topic, batch: Message, reason: str
) -> None:
    await bus.publish(topic, batch)

    letters = await bus.list_dead_letters(10)
    assert [letter.topic for letter in letters] == [topic]
    assert letters[0].reason.startswith(reason)


async def test_while_the_store_is_away_a_message_waits_and_is_stored_when_it_is_back(
    mongodb_uri: str, store: MongoStore, database_name: str, environment: Environment
) -> None:
    own_bus = InProcessBus()
    target = urlsplit(mongodb_uri)
    assert target.hostname is not None
    async with CuttableProxy(target.hostname, target.port or 27017) as proxy:
        uri = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
        far_store = MongoStore.open(uri, database=database_name)
        async with running(far_store, own_bus, uri=uri) as app:
            await proxy.cut()
            published = asyncio.create_task(
                own_bus.publish(Topic.USERS, users_message(environment.id, ANN))
            )
            await until_health(app.port, NOT_SERVING)
            assert await seen_keys(store, environment) == []

            proxy.mend()
            await until_health(app.port, SERVING)
            assert await until(lambda: seen_keys(store, environment)) == ["ann"]
            with suppress(BrokerUnavailable):
                await published
            assert await own_bus.list_dead_letters(10) == []
        await own_bus.close()
        await far_store.close()


async def test_a_second_replica_takes_over_when_the_first_stops(
    mongodb_uri: str,
    store: MongoStore,
    bus: InProcessBus,
    environment: Environment,
    ingest: IngestApp,
) -> None:
    async with running(store, bus, uri=mongodb_uri):
        await ingest.stop()
        await bus.publish(Topic.USERS, users_message(environment.id, ANN))
        assert await seen_keys(store, environment) == ["ann"]
