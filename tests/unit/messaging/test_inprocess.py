"""What only the in-process bus promises."""

from __future__ import annotations

import asyncio

import pytest

from services.messaging.inprocess import InProcessBus
from services.messaging.inprocess import bus as inprocess_bus
from services.messaging.ports import Message, Topic
from services.runtime.errors import BrokerUnavailable, ResourceExhausted
from tests.support.messaging import Recorder, message


async def test_publish_returns_when_the_handlers_are_done() -> None:
    bus, handler, watched = InProcessBus(), Recorder(), Recorder()
    await bus.consume(Topic.USERS, handler, prefetch=1)
    await (await bus.watch_changes(watched)).bind("environment-1")

    await bus.publish(Topic.USERS, message())
    await bus.publish(Topic.CHANGES, message())

    assert (len(handler.got), len(watched.got)) == (1, 1)
    await bus.close()


async def test_a_full_queue_refuses_messages_until_a_consumer_comes() -> None:
    bus, handler = InProcessBus(max_length=2), Recorder()
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(bus.publish(Topic.USERS, message()))
        await asyncio.sleep(0)  # both have begun

        with pytest.raises(ResourceExhausted):
            await bus.publish(Topic.USERS, message())

        await bus.consume(Topic.USERS, handler, prefetch=1)
    await bus.publish(Topic.USERS, message())
    assert len(handler.got) == 3
    await bus.close()


async def test_what_no_handler_took_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inprocess_bus, "CONFIRM_TIMEOUT", 0.01)
    bus = InProcessBus()

    with pytest.raises(BrokerUnavailable):
        await bus.publish(Topic.INSIGHTS, message())
    await bus.close()


async def test_a_publisher_that_gives_up_does_not_stop_the_handler() -> None:
    bus, started, gate, done = InProcessBus(), asyncio.Event(), asyncio.Event(), Recorder()

    async def slow(received: Message) -> None:
        started.set()
        await gate.wait()
        await done(received)

    await bus.consume(Topic.USERS, slow, prefetch=1)
    publisher = asyncio.create_task(bus.publish(Topic.USERS, message()))
    await started.wait()
    publisher.cancel()
    await asyncio.wait({publisher})
    gate.set()

    await done.until(1)
    await bus.close()
