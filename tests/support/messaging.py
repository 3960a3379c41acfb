"""What tests of the bus share: messages, a recording handler, and a clean end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import aio_pika

from services.messaging.ports import Bus, Message, Topic
from services.messaging.rabbitmq import RabbitMqBus
from services.messaging.topology import Topology
from services.runtime.errors import BrokerUnavailable, ResourceExhausted
from tests.support.waiting import PATIENCE


def message(environment: str = "environment-1", payload: bytes = b"payload") -> Message:
    """A message that no other equals."""
    return Message(str(uuid4()), environment, payload, {"traceparent": "00-1-2-01"})


class Recorder:
    """A handler that keeps what it got, and fails where ``fails`` says so."""

    def __init__(self, fails: Callable[[Message], bool] = lambda _: False) -> None:
        self.got: list[Message] = []
        self._fails = fails
        self._changed = asyncio.Condition()

    async def __call__(self, received: Message) -> None:
        async with self._changed:
            self.got.append(received)
            self._changed.notify_all()
        if self._fails(received):
            raise ValueError(f"cannot store {received.payload.decode()}")

    async def until(self, count: int) -> list[Message]:
        """What it got, once that is at least ``count`` messages."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.got) >= count)
        return self.got


async def soon(look: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition that no event announces holds."""
    async with asyncio.timeout(PATIENCE):
        while not await look():  # noqa: ASYNC110 - the state is the broker's, it sends no event
            await asyncio.sleep(0.02)


async def accepted(bus: Bus, topic: Topic, published: Message) -> bool:
    """Whether the bus takes the message now."""
    try:
        await bus.publish(topic, published)
    except (BrokerUnavailable, ResourceExhausted):
        return False
    return True


async def publish_when_possible(bus: Bus, topic: Topic, published: Message) -> None:
    """As `api`'s relay does: try until the broker is back."""
    await soon(lambda: accepted(bus, topic, published))


@asynccontextmanager
async def own_topology(amqp_url: str) -> AsyncIterator[str]:
    """A name prefix of the test's own, with nothing left of it afterwards."""
    prefix = f"test-{uuid4().hex}"
    try:
        yield prefix
    finally:
        topology = Topology(prefix)
        async with await aio_pika.connect(amqp_url) as connection, connection.channel() as channel:
            for queue in topology.queues:
                await channel.queue_delete(queue.name)
            for exchange in topology.exchanges:
                await channel.exchange_delete(exchange)


@asynccontextmanager
async def rabbitmq_bus(url: str, prefix: str, *, max_length: int = 1000) -> AsyncIterator[Bus]:
    """A bus that is closed at the end."""
    bus = RabbitMqBus.open(url, prefix=prefix, max_length=max_length)
    try:
        yield bus
    finally:
        await bus.close()
