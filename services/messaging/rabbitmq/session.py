"""One live connection with the topology declared on it.

The driver's own `connect_robust` restores channels one by one, behind the caller's back, and
replays every declaration that it has seen. Here a session lives and dies as a whole: when the
connection or any channel of it ends, `lost` is set and the
`ReconnectingSession` builds a new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aio_pika import Connection, ExchangeType
from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.connection import make_url
from aio_pika.exceptions import PublishError

from services.messaging.delivery import CONFIRM_TIMEOUT
from services.messaging.rabbitmq.failures import translated
from services.messaging.topology import Topology
from services.runtime.errors import BrokerUnavailable

RPC_TIMEOUT: Final = 5.0
"""Seconds for a declaration or binding; the driver closes the channel on a timeout."""

_CONNECT_TIMEOUT = 10.0
_CLOSE_TIMEOUT = 5.0
_HEARTBEAT = 10
"""Seconds; a broker that went silent is noticed after about three of them."""

_log = logging.getLogger(__name__)


class Session:
    """A connection, its publishing channel, and the event that says that they are gone."""

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self.topology: Final = topology
        self.lost: Final = asyncio.Event()
        self.cause = "closed"
        self._connection = connection
        self._exchanges: dict[str, AbstractExchange] = {}
        self._publishing: AbstractChannel | None = None

    @classmethod
    async def open(cls, url: str, topology: Topology) -> Session:
        """Connect and declare everything. Raises `BrokerUnavailable`."""
        address = make_url(url)
        if "heartbeat" not in address.query:
            address = address.update_query(heartbeat=_HEARTBEAT)
        session = cls(Connection(address), topology)
        try:
            with translated():
                async with asyncio.timeout(_CONNECT_TIMEOUT):
                    await session._establish()
        except BaseException:
            await session.close()
            raise
        return session

    async def _establish(self) -> None:
        await self._connection.connect()
        self._connection.close_callbacks.add(self._on_closed)
        self._publishing = await self._open_channel(on_return_raises=True)
        for name in self.topology.exchanges:
            self._exchanges[name] = await self._publishing.declare_exchange(
                name, ExchangeType.TOPIC, durable=True, timeout=RPC_TIMEOUT
            )
        for queue in self.topology.queues:
            declared = await self._publishing.declare_queue(
                queue.name, durable=True, arguments=dict(queue.arguments), timeout=RPC_TIMEOUT
            )
            await declared.bind(queue.exchange, "#", timeout=RPC_TIMEOUT)

    async def publish(
        self, exchange: str, routing_key: str, message: AmqpMessage, *, mandatory: bool
    ) -> None:
        """Return once confirmed; a ``mandatory`` message that meets no queue is refused."""
        try:
            with translated():
                await self._exchanges[exchange].publish(
                    message, routing_key, mandatory=mandatory, timeout=CONFIRM_TIMEOUT
                )
        except BrokerUnavailable as error:
            if isinstance(error.__cause__, PublishError):
                self.lose("a declared queue is gone")  # the next session declares it anew
            raise

    async def channel(self, *, prefetch: int) -> AbstractChannel:
        """A further channel; when it ends unasked, so does the session."""
        with translated():
            async with asyncio.timeout(RPC_TIMEOUT):
                channel = await self._open_channel()
                await channel.set_qos(prefetch_count=prefetch)
                return channel

    async def release(self, channel: AbstractChannel) -> None:
        """Close a channel on purpose; what it left unacknowledged goes back to its queue."""
        channel.close_callbacks.discard(self._on_closed)
        with translated():
            async with asyncio.timeout(RPC_TIMEOUT):
                await channel.close()

    @contextmanager
    def essential(self) -> Iterator[None]:
        """Around work that a session cannot do without.

        When it fails or is cancelled half way the session is given up: the next starts clean.
        """
        try:
            with translated():
                yield
        except BaseException as error:
            self.lose(str(error) or type(error).__name__)
            raise

    def lose(self, cause: str) -> None:
        """Give the session up; the first cause is kept."""
        if not self.lost.is_set():
            self.cause = cause
            self.lost.set()

    async def close(self) -> None:
        """Disconnect, within bounded time even when the broker does not answer."""
        self.lose("closed")
        closing = asyncio.ensure_future(self._connection.close())
        # Not wait_for: the driver may wait within its own cancellation.
        done, _ = await asyncio.wait({closing}, timeout=_CLOSE_TIMEOUT)
        if not done:
            closing.cancel()
            _log.warning("RabbitMQ did not answer the end of the connection in time")
        elif error := closing.exception():
            _log.debug("The connection ended with %r", error)

    async def _open_channel(self, *, on_return_raises: bool = False) -> AbstractChannel:
        channel = await self._connection.channel(on_return_raises=on_return_raises)
        channel.close_callbacks.add(self._on_closed)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._on_consumer_cancelled)
        return channel

    def _on_closed(self, _sender: object, cause: BaseException | None) -> None:
        self.lose(str(cause) or type(cause).__name__)

    def _on_consumer_cancelled(self, _frame: object) -> None:
        self.lose("the broker cancelled a consumer: its queue is gone")
