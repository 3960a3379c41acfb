"""When change notices reach a queue that is bound as an `evaluation` replica's is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from featmesh.messaging.v1 import messaging_pb2
from services.messaging.ports import Topic
from services.messaging.topology import Topology

PATIENCE: Final = 10.0


class Notices:
    """The time of each revision's first notice, in nanoseconds of the wall clock."""

    def __init__(self) -> None:
        self._at: dict[int, int] = {}
        self._came = asyncio.Condition()

    async def take(self, message: AbstractIncomingMessage) -> None:
        """Notes one."""
        at = time.time_ns()
        revision = messaging_pb2.ChangeNotice.FromString(message.body).revision
        async with self._came:
            self._at.setdefault(revision, at)
            self._came.notify_all()

    async def time_of(self, revision: int) -> int:
        """When the first notice of this revision or a later one came."""
        async with asyncio.timeout(PATIENCE), self._came:
            await self._came.wait_for(lambda: max(self._at, default=0) >= revision)
            return self._at[min(each for each in self._at if each >= revision)]


@asynccontextmanager
async def watched_notices(amqp: str) -> AsyncIterator[Notices]:
    """Notices of all environments while entered."""
    notices = Notices()
    connection = await aio_pika.connect(amqp)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(Topology().exchange(Topic.CHANGES))
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        await queue.bind(exchange, "#")
        await queue.consume(notices.take, no_ack=True)
        yield notices
