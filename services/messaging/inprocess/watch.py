"""Notices, as one watch hands them over."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress

from services.messaging.inprocess.delivery import MAX_LENGTH, Delivery
from services.messaging.ports import Handler, Message, Topic
from services.messaging.topology import WATCHED_TOPICS

_log = logging.getLogger(__name__)


class Watch:
    """Hands notices to the handler one at a time, in the order in which they came."""

    def __init__(self, topic: Topic, handler: Handler) -> None:
        self.topic = topic
        self._handler = handler
        self._bound: set[str] = set()
        self._notices: deque[Delivery] = deque()
        self._arrived = asyncio.Event()
        self._task = asyncio.create_task(self._work(), name="in-process-watch")
        self.closed = False

    async def bind(self, environment_id: str) -> None:
        self._bound.add(environment_id)

    async def unbind(self, environment_id: str) -> None:
        self._bound.discard(environment_id)

    async def close(self) -> None:
        self.closed = True
        self._task.cancel()
        await asyncio.wait({self._task})
        while self._notices:
            self._notices.popleft().settle()

    def try_write(self, message: Message) -> asyncio.Future[None] | None:
        """Done when the handler is; None when the environment is not bound here."""
        if self.closed or message.environment_id not in self._bound:
            return None
        if len(self._notices) >= MAX_LENGTH:
            _log.warning("A watch is %d notices behind; the oldest goes", MAX_LENGTH)
            self._notices.popleft().settle()
        delivery = Delivery(message)
        self._notices.append(delivery)
        self._arrived.set()
        return delivery.kept

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._notices:
                await self._hand_over(self._notices[0])

    async def _hand_over(self, delivery: Delivery) -> None:
        try:
            await self._handler(delivery.message)
        except Exception:  # noqa: BLE001 - a handler's error must not end the watch
            what, where = WATCHED_TOPICS[self.topic], delivery.message.environment_id
            _log.exception("The handler of a %s of %s failed", what, where)
        delivery.settle()
        with suppress(ValueError):  # it may have given way meanwhile
            self._notices.remove(delivery)
