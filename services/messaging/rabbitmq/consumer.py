"""Competing consumption of one durable queue, with manual acknowledgement."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from services.messaging.delivery import DRAIN_TIMEOUT, reason_of, retry_delay
from services.messaging.ports import DELIVERY_LIMIT, DeadLetter, Handler, Message, Topic
from services.messaging.rabbitmq.codec import decode, deliveries, encode_dead_letter
from services.messaging.rabbitmq.failures import translated
from services.messaging.rabbitmq.session import RPC_TIMEOUT, Session
from services.runtime.errors import BrokerUnavailable, ResourceExhausted

_log = logging.getLogger(__name__)


class RabbitMqConsumer:
    """Runs at most ``prefetch`` handlers at once, over all the sessions that it outlives.

    A handler whose session is lost is left to finish; its message comes again, for this
    consumer or another.
    """

    def __init__(self, topic: Topic, handler: Handler, *, prefetch: int) -> None:
        self._topic = topic
        self._handler = handler
        self._prefetch = prefetch
        self._slots = asyncio.Semaphore(prefetch)
        self._running: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._lock = asyncio.Lock()
        self._session: Session | None = None
        self._channel: AbstractChannel | None = None
        self._queue: AbstractQueue | None = None
        self._tag = ""

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closing.is_set()

    async def attach(self, session: Session) -> None:
        """Consume on this session. Raises `BrokerUnavailable`."""
        async with self._lock:
            if self._closing.is_set() or self._session is session:
                return
            with session.essential():
                self._channel = await session.channel(prefetch=self._prefetch)
                name = session.topology.store_queue(self._topic)
                self._queue = await self._channel.get_queue(name, ensure=False)
                deliver = partial(self._deliver, session)
                self._tag = await self._queue.consume(deliver, timeout=RPC_TIMEOUT)
            self._session = session

    async def close(self) -> None:
        self._closing.set()
        async with self._lock:
            await self._stop_deliveries()
            if self._running:
                await asyncio.wait(self._running, timeout=DRAIN_TIMEOUT)
            await self._cancel_handlers()
            await self._release()

    async def _stop_deliveries(self) -> None:
        if self._queue is not None:
            with suppress(BrokerUnavailable), translated():
                await self._queue.cancel(self._tag, timeout=RPC_TIMEOUT)
            self._queue = None

    async def _cancel_handlers(self) -> None:
        if not self._running:
            return
        _log.warning("%d handlers of %s did not end in time", len(self._running), self._topic)
        for task in self._running:
            task.cancel()
        await asyncio.wait(self._running)

    async def _release(self) -> None:
        """Let the channel go: what is unacknowledged returns to the queue."""
        channel, self._channel = self._channel, None
        if channel is not None and self._session is not None and not channel.is_closed:
            with suppress(BrokerUnavailable):
                await self._session.release(channel)

    async def _deliver(self, session: Session, incoming: AbstractIncomingMessage) -> None:
        """Start the handler in a task of our own: the driver cancels its own with the channel."""
        if not self._closing.is_set():
            task = asyncio.create_task(self._handle(session, incoming))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _handle(self, session: Session, incoming: AbstractIncomingMessage) -> None:
        async with self._slots:
            if self._closing.is_set() or session.lost.is_set():
                return  # unacknowledged, so it comes again
            message = decode(incoming)
            try:
                await self._handler(message)
            except Exception as error:  # noqa: BLE001 - any failure is a failed delivery
                await self._refuse(session, incoming, message, error)
            else:
                await _settle(incoming, requeue=False)

    async def _refuse(
        self,
        session: Session,
        incoming: AbstractIncomingMessage,
        message: Message,
        error: Exception,
    ) -> None:
        count = deliveries(incoming)
        _log.info("Delivery %d of %s message %s failed: %s", count, self._topic, message.id, error)
        if count >= DELIVERY_LIMIT and await self._dead_letter(session, message, error):
            await _settle(incoming, requeue=False)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(retry_delay(count)):
                await self._closing.wait()
        await _settle(incoming, requeue=True)

    async def _dead_letter(self, session: Session, message: Message, error: Exception) -> bool:
        """Whether the dead letter is safe with the broker."""
        letter = DeadLetter(message=message, topic=self._topic, reason=reason_of(error))
        topology = session.topology
        try:
            await session.publish(
                topology.dead_letters,
                topology.store_queue(self._topic),
                encode_dead_letter(letter),
                mandatory=True,
            )
        except (BrokerUnavailable, ResourceExhausted) as refusal:
            _log.warning("Message %s cannot become a dead letter: %s", message.id, refusal)
            return False
        _log.warning("%s message %s is a dead letter: %s", self._topic, message.id, letter.reason)
        return True


async def _settle(incoming: AbstractIncomingMessage, *, requeue: bool) -> None:
    """Acknowledge or return; on a lost channel neither is needed, the broker redelivers."""
    with suppress(BrokerUnavailable), translated():
        await (incoming.nack(requeue=True) if requeue else incoming.ack())
