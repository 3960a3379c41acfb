"""The bus over RabbitMQ."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

from aio_pika.abc import AbstractChannel

from services.messaging.delivery import CONFIRM_TIMEOUT
from services.messaging.ports import (
    ANY_LETTER,
    DeadLetterFilter,
    DeadLetterInfo,
    Handler,
    Message,
    Topic,
)
from services.messaging.rabbitmq import dead_letters
from services.messaging.rabbitmq.codec import encode
from services.messaging.rabbitmq.consumer import RabbitMqConsumer
from services.messaging.rabbitmq.reconnecting_session import ReconnectingSession
from services.messaging.rabbitmq.session import Session
from services.messaging.rabbitmq.watch import RabbitMqChangeWatch
from services.messaging.topology import DEFAULT_PREFIX, MAX_LENGTH, STORED_TOPICS, Topology
from services.runtime.errors import BrokerUnavailable


class _Attachment(Protocol):
    """What is built anew on every session."""

    @property
    def closed(self) -> bool: ...

    async def attach(self, session: Session) -> None: ...

    async def close(self) -> None: ...


class RabbitMqBus:
    """A `Bus`. Connects, and connects again, in the background; see `ReconnectingSession`."""

    def __init__(self, url: str, topology: Topology, *, broker: str) -> None:
        self._topology = topology
        self._attachments: list[_Attachment] = []
        self._publishes = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        connect = partial(Session.open, url, topology)
        self._lifeline = ReconnectingSession(connect, self._restore, broker=broker)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        variable: str = "FEATMESH_AMQP_URL",
        prefix: str = DEFAULT_PREFIX,
        max_length: int = MAX_LENGTH,
    ) -> RabbitMqBus:
        """Return at once, inside a running event loop, whether or not the broker answers.

        Args:
            url: ``amqp://user:password@host:port/vhost``, or ``amqps``.
            variable: where the URL came from; log lines name it.
            prefix: what the names of all exchanges and queues begin with.
            max_length: messages that wait in one durable queue before publishes are refused.
                It is part of the queue's declaration: all processes must agree on it.

        Raises:
            ValueError: the URL cannot be one of a broker.
        """
        # The driver logs each attempt at ERROR; the lifeline says it once per outage.
        logging.getLogger("aiormq").setLevel(logging.CRITICAL)
        broker = f"RabbitMQ at {_address(url, variable)} ({variable})"
        return cls(url, Topology(prefix, max_length), broker=broker)

    async def publish(self, topic: Topic, message: Message) -> None:
        if self._closed:
            raise BrokerUnavailable("The bus is closed.")
        self._publishes += 1
        self._idle.clear()
        try:
            session = await self._lifeline.session()
            await session.publish(
                self._topology.exchange(topic),
                message.environment_id,
                encode(message),
                mandatory=topic in STORED_TOPICS,
            )
        finally:
            self._publishes -= 1
            if not self._publishes:
                self._idle.set()

    async def watch_changes(self, handler: Handler) -> RabbitMqChangeWatch:
        return await self._watch(Topic.CHANGES, handler)

    async def watch_applied(self, handler: Handler) -> RabbitMqChangeWatch:
        return await self._watch(Topic.APPLIED, handler)

    async def _watch(self, topic: Topic, handler: Handler) -> RabbitMqChangeWatch:
        watch = RabbitMqChangeWatch(self._lifeline, topic, handler)
        await self._add(watch)
        return watch

    async def consume(self, topic: Topic, handler: Handler, *, prefetch: int) -> RabbitMqConsumer:
        if topic not in STORED_TOPICS:
            raise ValueError(f"{topic} is watched, not consumed")
        consumer = RabbitMqConsumer(topic, handler, prefetch=prefetch)
        await self._add(consumer)
        return consumer

    async def list_dead_letters(
        self, limit: int, wanted: DeadLetterFilter = ANY_LETTER
    ) -> list[DeadLetterInfo]:
        async with self._own_channel() as (session, channel):
            return await dead_letters.peek(session, channel, wanted, limit)

    async def replay_dead_letters(self, limit: int, wanted: DeadLetterFilter = ANY_LETTER) -> int:
        async with self._own_channel() as (session, channel):
            how = dead_letters.replay
            return await dead_letters.settle(session, channel, wanted, limit, how)

    async def drop_dead_letters(self, limit: int, wanted: DeadLetterFilter = ANY_LETTER) -> int:
        async with self._own_channel() as (session, channel):
            how = dead_letters.drop
            return await dead_letters.settle(session, channel, wanted, limit, how)

    async def count_dead_letters(self) -> int:
        async with self._own_channel() as (session, channel):
            return await dead_letters.count(session, channel)

    @asynccontextmanager
    async def _own_channel(self) -> AsyncIterator[tuple[Session, AbstractChannel]]:
        """For one operation; it takes messages one by one and may hold many."""
        session = await self._lifeline.session()
        channel = await session.channel(prefetch=1)
        try:
            yield session, channel
        finally:
            with suppress(BrokerUnavailable):
                await session.release(channel)

    @property
    def healthy(self) -> bool:
        return not self._closed and self._lifeline.connected

    async def close(self) -> None:
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(CONFIRM_TIMEOUT):
                await self._idle.wait()
        async with asyncio.TaskGroup() as group:
            for attachment in self._attachments:
                group.create_task(attachment.close())
        await self._lifeline.close()

    async def _add(self, attachment: _Attachment) -> None:
        """From now on with every session; with the present one at once."""
        if self._closed:
            await attachment.close()
            raise BrokerUnavailable("The bus is closed.")
        self._attachments = [a for a in self._attachments if not a.closed]
        self._attachments.append(attachment)
        with suppress(BrokerUnavailable):
            await attachment.attach(await self._lifeline.session())

    async def _restore(self, session: Session) -> None:
        for attachment in list(self._attachments):
            await attachment.attach(session)


def _address(url: str, variable: str) -> str:
    """The URL without its credentials and options."""
    parts = urlsplit(url)
    if parts.scheme not in {"amqp", "amqps"} or not parts.hostname:
        raise ValueError(f"{variable} must look like amqp://user:password@host:5672/vhost")
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
