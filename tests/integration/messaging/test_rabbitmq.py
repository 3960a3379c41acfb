"""What the RabbitMQ adapter promises when the broker, a queue or a consumer goes away."""

from __future__ import annotations

import asyncio
import logging

import aio_pika
import pytest
from aiormq.connection import FrameReceiver

from services.messaging.ports import Bus, Message, Topic
from services.messaging.rabbitmq import RabbitMqBus
from services.messaging.rabbitmq.failures import translated
from services.messaging.topology import CONTENT_TYPE, HEADER_ENVIRONMENT, Topology
from services.runtime.errors import BrokerUnavailable, ResourceExhausted
from tests.integration.messaging.conftest import Line
from tests.support.messaging import (
    Recorder,
    accepted,
    message,
    publish_when_possible,
    rabbitmq_bus,
    soon,
)
from tests.support.waiting import PATIENCE


async def until_healthy(bus: Bus, *, wanted: bool) -> None:
    async def reached() -> bool:
        return bus.healthy is wanted

    await soon(reached)


async def test_a_bus_opened_while_the_broker_is_down_works_once_it_is_up(
    line: Line, prefix: str
) -> None:
    await line.proxy.cut()
    async with rabbitmq_bus(line.url, prefix) as bus:
        handler, watched = Recorder(), Recorder()
        await bus.consume(Topic.USERS, handler, prefetch=1)
        watch = await bus.watch_changes(watched)
        await watch.bind("environment-1")
        with pytest.raises(BrokerUnavailable):
            await bus.publish(Topic.USERS, message())
        assert not bus.healthy

        await line.proxy.open()
        await publish_when_possible(bus, Topic.USERS, message())
        await handler.until(1)
        await bus.publish(Topic.CHANGES, message())
        await watched.until(1)
        assert bus.healthy


async def test_an_outage_is_logged_once_with_variable_and_address_and_without_the_password(
    line: Line, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    await line.proxy.cut()
    url = line.url.replace("guest:guest@", "guest:secret@")
    bus = RabbitMqBus.open(url, variable="MY_BROKER", prefix=prefix)
    for _ in range(3):
        with pytest.raises(BrokerUnavailable):
            await bus.publish(Topic.USERS, message())
    await bus.close()

    complaints = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(complaints) == 1
    address = line.url.replace("guest:guest@", "")
    assert f"{address} (MY_BROKER)" in complaints[0]
    assert "secret" not in caplog.text


async def test_a_broker_that_hangs_up_before_its_first_frame_is_away_like_any_other() -> None:
    wire = asyncio.StreamReader()
    wire.feed_eof()
    with pytest.raises(BrokerUnavailable, match=r"RabbitMQ failed: \S"), translated():
        await FrameReceiver(wire).get_frame()


async def test_bindings_and_consumers_come_back_after_the_connection_was_cut(
    amqp_url: str, line: Line, prefix: str
) -> None:
    handler, watched = Recorder(), Recorder()
    async with rabbitmq_bus(line.url, prefix) as bus, rabbitmq_bus(amqp_url, prefix) as publisher:
        await bus.consume(Topic.INSIGHTS, handler, prefetch=1)
        watch = await bus.watch_changes(watched)
        await watch.bind("before")
        await watch.bind("dropped")

        await line.proxy.cut()
        await until_healthy(bus, wanted=False)
        await watch.bind("meanwhile")
        await watch.unbind("dropped")
        missed = message()
        await publisher.publish(Topic.INSIGHTS, missed)
        await line.proxy.open()

        assert await handler.until(1) == [missed]
        await until_healthy(bus, wanted=True)
        await watch.bind("after")
        for environment in ("before", "dropped", "meanwhile", "after"):
            await publisher.publish(Topic.CHANGES, message(environment))
        got = await watched.until(3)
        assert [each.environment_id for each in got] == ["before", "meanwhile", "after"]


async def test_a_watch_goes_on_after_a_cut_that_left_a_notice_unacknowledged(
    amqp_url: str, line: Line, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.messaging.rabbitmq.watch._ACK_SECONDS", 0.2)
    watched = Recorder()
    async with rabbitmq_bus(line.url, prefix) as bus, rabbitmq_bus(amqp_url, prefix) as publisher:
        await (await bus.watch_changes(watched)).bind("mine")
        await publisher.publish(Topic.CHANGES, message("mine"))
        await watched.until(1)
        await line.proxy.cut()
        await until_healthy(bus, wanted=False)
        await line.proxy.open()
        await until_healthy(bus, wanted=True)
        later = [message("mine") for _ in range(150)]  # more than wait unacknowledged
        for each in later:
            await publisher.publish(Topic.CHANGES, each)
        assert (await watched.until(151))[1:] == later


async def test_a_publish_under_way_when_the_connection_is_cut_fails_as_unavailable(
    line: Line, prefix: str
) -> None:
    async with rabbitmq_bus(line.url, prefix) as bus:
        await bus.publish(Topic.USERS, message())
        publishes = [
            asyncio.create_task(bus.publish(Topic.USERS, message(payload=b"x" * 500_000)))
            for _ in range(50)
        ]
        await asyncio.wait(publishes, return_when=asyncio.FIRST_COMPLETED)
        await line.proxy.cut()

        outcomes = await asyncio.gather(*publishes, return_exceptions=True)
        failures = [each for each in outcomes if each is not None]
        assert all(isinstance(each, BrokerUnavailable) for each in failures), failures
        assert failures


async def test_a_queue_at_its_limit_refuses_publishes(amqp_url: str, prefix: str) -> None:
    async with rabbitmq_bus(amqp_url, prefix, max_length=3) as bus:

        async def full() -> bool:
            return not await accepted(bus, Topic.INSIGHTS, message())

        await soon(full)
        with pytest.raises(ResourceExhausted):
            await bus.publish(Topic.INSIGHTS, message())
        await bus.publish(Topic.USERS, message())  # another queue is not concerned
        await bus.consume(Topic.INSIGHTS, Recorder(), prefetch=10)
        await publish_when_possible(bus, Topic.INSIGHTS, message())


async def test_an_unacknowledged_message_is_redelivered_when_its_consumer_dies(
    amqp_url: str, line: Line, prefix: str
) -> None:
    started, hang, survivor = asyncio.Event(), asyncio.Event(), Recorder()

    async def hanging(_: Message) -> None:
        started.set()
        await hang.wait()

    async with rabbitmq_bus(line.url, prefix) as dying, rabbitmq_bus(amqp_url, prefix) as bus:
        await dying.consume(Topic.USERS, hanging, prefetch=1)
        sent = message()
        await bus.publish(Topic.USERS, sent)
        async with asyncio.timeout(PATIENCE):
            await started.wait()
        await bus.consume(Topic.USERS, survivor, prefetch=1)

        await line.proxy.cut()

        assert await survivor.until(1) == [sent]
        hang.set()


async def test_a_message_whose_queue_is_gone_is_refused_and_the_queue_comes_back(
    amqp_url: str, prefix: str
) -> None:
    async with rabbitmq_bus(amqp_url, prefix) as bus:
        await bus.publish(Topic.USERS, message())
        await _delete_queue(amqp_url, Topology(prefix).store_queue(Topic.USERS))
        with pytest.raises(BrokerUnavailable):
            await bus.publish(Topic.USERS, message())

        kept, handler = message(), Recorder()
        await publish_when_possible(bus, Topic.USERS, kept)
        await bus.consume(Topic.USERS, handler, prefetch=1)
        assert await handler.until(1) == [kept]


async def test_a_consumer_whose_queue_was_deleted_consumes_from_the_new_one(
    amqp_url: str, prefix: str
) -> None:
    async with rabbitmq_bus(amqp_url, prefix) as bus:
        handler = Recorder()
        await bus.consume(Topic.USERS, handler, prefetch=1)
        await bus.publish(Topic.USERS, message())
        await handler.until(1)

        await _delete_queue(amqp_url, Topology(prefix).store_queue(Topic.USERS))

        await publish_when_possible(bus, Topic.USERS, message())
        await handler.until(2)


async def _delete_queue(url: str, name: str) -> None:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        await channel.queue_delete(name)


async def test_messages_on_the_wire_are_persistent_protobuf_with_their_headers(
    amqp_url: str, prefix: str
) -> None:
    sent = message("environment-7")
    async with rabbitmq_bus(amqp_url, prefix) as bus:
        await bus.publish(Topic.INSIGHTS, sent)
    async with await aio_pika.connect(amqp_url) as connection, connection.channel() as channel:
        name = Topology(prefix).store_queue(Topic.INSIGHTS)
        queue = await channel.get_queue(name, ensure=False)
        found = await queue.get(no_ack=True)

    assert found is not None
    assert found.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert (found.content_type, found.message_id) == (CONTENT_TYPE, sent.id)
    assert found.routing_key == "environment-7"
    assert found.headers[HEADER_ENVIRONMENT] == "environment-7"
    assert found.headers["traceparent"] == sent.headers["traceparent"]


async def test_a_url_of_another_kind_is_refused_by_the_name_of_its_variable() -> None:
    with pytest.raises(ValueError, match="FEATMESH_AMQP_URL"):
        RabbitMqBus.open("http://127.0.0.1")
