"""A letter is never lost, whatever stops a replay half-way."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import AsyncIterator

import aio_pika
import pytest
from aio_pika import IncomingMessage

from services.messaging.ports import Bus, DeadLetter, DeadLetterInfo, Topic
from services.messaging.rabbitmq import RabbitMqBus
from services.messaging.rabbitmq.codec import encode_dead_letter
from services.messaging.rabbitmq.session import Session
from services.messaging.topology import Topology
from services.runtime.errors import BrokerUnavailable
from tests.support.messaging import Recorder, message, own_topology, soon


@pytest.fixture
async def prefix(amqp_url: str) -> AsyncIterator[str]:
    async with own_topology(amqp_url) as name:
        yield name


@pytest.fixture
async def bus(amqp_url: str, prefix: str) -> AsyncIterator[Bus]:
    opened = RabbitMqBus.open(amqp_url, prefix=prefix, max_length=3)
    yield opened
    await opened.close()


async def bury(
    amqp_url: str, prefix: str, count: int, *, payload: bytes = b"payload"
) -> list[DeadLetter]:
    """So many letters, as a consumer leaves them."""
    topology = Topology(prefix, 3)
    session = await Session.open(amqp_url, topology)
    letters = [DeadLetter(message(payload=payload), Topic.INSIGHTS, "bad") for _ in range(count)]
    for letter in letters:
        await session.publish(
            topology.dead_letters,
            topology.store_queue(letter.topic),
            encode_dead_letter(letter),
            mandatory=True,
        )
    await session.close()
    return letters


async def test_a_crash_between_publish_and_removal_leaves_the_letter_in_both_places(
    amqp_url: str, prefix: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bus.list_dead_letters(1)
    (letter,) = await bury(amqp_url, prefix, 1)

    async def lost(_: IncomingMessage, multiple: bool = False) -> None:
        raise ConnectionError("the process dies, and the broker hears nothing of it")

    with monkeypatch.context() as crash:
        crash.setattr(IncomingMessage, "ack", lost)
        with pytest.raises(BrokerUnavailable):
            await bus.replay_dead_letters(10)

    got = Recorder()
    await bus.consume(Topic.INSIGHTS, got, prefetch=1)
    assert await got.until(1) == [letter.message]

    async def is_there() -> bool:
        return await bus.list_dead_letters(10) == [DeadLetterInfo.of(letter)]

    await soon(is_there)


async def test_a_letter_that_its_queue_does_not_take_stays(
    amqp_url: str, prefix: str, bus: Bus
) -> None:
    await bus.list_dead_letters(1)
    (letter,) = await bury(amqp_url, prefix, 1)
    async with await aio_pika.connect(amqp_url) as connection, connection.channel() as channel:
        await channel.queue_delete(Topology(prefix).store_queue(Topic.INSIGHTS))
    with pytest.raises(BrokerUnavailable):
        await bus.replay_dead_letters(10)

    async def is_there() -> bool:
        try:
            return await bus.list_dead_letters(10) == [DeadLetterInfo.of(letter)]
        except BrokerUnavailable:  # it connects anew, to declare the queue again
            return False

    await soon(is_there)


async def test_a_list_of_large_letters_holds_none_of_their_payloads(
    amqp_url: str, prefix: str, bus: Bus
) -> None:
    await bus.list_dead_letters(1)
    size = 4 * 1024 * 1024
    await bury(amqp_url, prefix, 3, payload=bytes(size))
    tracemalloc.start()
    try:
        notes = await bus.list_dead_letters(3)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [note.payload_bytes for note in notes] == [size] * 3
    assert held < size
