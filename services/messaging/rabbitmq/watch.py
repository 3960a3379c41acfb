"""A process's own view of a topic: an exclusive queue that comes back with each session."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from services.messaging.ports import Handler, Topic
from services.messaging.rabbitmq.codec import decode
from services.messaging.rabbitmq.failures import translated
from services.messaging.rabbitmq.reconnecting_session import ReconnectingSession
from services.messaging.rabbitmq.session import RPC_TIMEOUT, Session
from services.messaging.topology import WATCH_ARGUMENTS, WATCHED_TOPICS
from services.runtime.errors import BrokerUnavailable

_PREFETCH = 64
"""Notices held here; further ones wait in the broker, where the oldest give way."""

_ACK_SECONDS = 0.01
"""So much later the broker is told what was handled: SDKs are served first."""

_log = logging.getLogger(__name__)


class RabbitMqChangeWatch:
    """Hands notices to the handler one at a time, in the order in which they came.

    While the broker is away `bind` and `unbind` return at once and take effect with the next
    session.
    """

    def __init__(self, lifeline: ReconnectingSession, topic: Topic, handler: Handler) -> None:
        self._lifeline = lifeline
        self._topic = topic
        self._handler = handler
        self._bound: set[str] = set()
        self._lock = asyncio.Lock()
        self._session: Session | None = None
        self._channel: AbstractChannel | None = None
        self._queue: AbstractQueue | None = None
        self._notices: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue(_PREFETCH)
        self._last: AbstractIncomingMessage | None = None
        """Handled, and not yet acknowledged, as are those before it."""
        self._handled = asyncio.Event()
        self._closed = False
        self._tasks = {
            asyncio.create_task(self._work(), name="rabbitmq-watch"),
            asyncio.create_task(self._acknowledge(), name="rabbitmq-watch-acks"),
        }

    async def bind(self, environment_id: str) -> None:
        self._bound.add(environment_id)
        await self._apply(environment_id)

    async def unbind(self, environment_id: str) -> None:
        self._bound.discard(environment_id)
        await self._apply(environment_id)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def attach(self, session: Session) -> None:
        """Declare the queue and its bindings on this session. Raises `BrokerUnavailable`."""
        async with self._lock:
            await self._attach(session)

    async def close(self) -> None:
        async with self._lock:
            self._closed = True
            channel, self._channel, self._queue = self._channel, None, None
            if channel is not None and self._session is not None and not channel.is_closed:
                with suppress(BrokerUnavailable):
                    await self._session.release(channel)
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _apply(self, environment_id: str) -> None:
        """Make the present session's queue agree with `_bound`; the next one's does anyway."""
        with suppress(BrokerUnavailable):
            session = await self._lifeline.session()
            async with self._lock:
                await self._attach(session)
                await self._sync(environment_id)

    async def _attach(self, session: Session) -> None:
        if self._closed or self._session is session:
            return
        self._drop_notices()
        with session.essential():
            self._channel = await session.channel(prefetch=_PREFETCH)
            self._queue = await self._channel.declare_queue(
                exclusive=True,
                auto_delete=True,
                arguments=dict(WATCH_ARGUMENTS),
                timeout=RPC_TIMEOUT,
            )
            self._session = session
            for environment_id in sorted(self._bound):
                await self._sync(environment_id)
            await self._queue.consume(self._notices.put, timeout=RPC_TIMEOUT)

    async def _sync(self, environment_id: str) -> None:
        """Bind or unbind, as `_bound` says; both are harmless twice."""
        if self._queue is None or self._session is None:
            return
        bound = environment_id in self._bound
        change = self._queue.bind if bound else self._queue.unbind
        with self._session.essential():
            exchange = self._session.topology.exchange(self._topic)
            await change(exchange, environment_id, timeout=RPC_TIMEOUT)

    async def _work(self) -> None:
        while True:
            incoming = await self._notices.get()
            try:
                await self._handler(decode(incoming))
            except Exception:  # noqa: BLE001 - a handler's error must not end the watch
                what, where = WATCHED_TOPICS[self._topic], incoming.routing_key
                _log.exception("The handler of a %s of %s failed", what, where)
            self._last = incoming
            self._handled.set()

    async def _acknowledge(self) -> None:
        """All that were handled meanwhile with one answer."""
        while True:
            await self._handled.wait()
            await asyncio.sleep(_ACK_SECONDS)
            self._handled.clear()
            last, self._last = self._last, None
            if last is not None:
                with suppress(BrokerUnavailable), translated():
                    await last.ack(multiple=True)

    def _drop_notices(self) -> None:
        """What an earlier session delivered; replicas poll after an outage anyway."""
        while not self._notices.empty():
            self._notices.get_nowait()
