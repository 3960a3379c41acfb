"""The bus that publishes, watches and consumes within one event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from services.messaging.delivery import CONFIRM_TIMEOUT
from services.messaging.inprocess.delivery import MAX_LENGTH
from services.messaging.inprocess.queue import Consumer, Queue
from services.messaging.inprocess.watch import Watch
from services.messaging.ports import (
    ANY_LETTER,
    DeadLetter,
    DeadLetterFilter,
    DeadLetterInfo,
    Handler,
    Message,
    Topic,
)
from services.messaging.topology import STORED_TOPICS, WATCHED_TOPICS
from services.runtime.errors import BrokerUnavailable

MAX_DEAD_LETTERS: Final = 1_000
"""Dead letters kept; then the oldest gives way."""


class InProcessBus:
    """A `Bus`.

    Its `publish` waits for the handlers, at most 5 seconds; then it raises
    `BrokerUnavailable`, although the message stays and is handled in the end.
    """

    def __init__(self, *, max_length: int = MAX_LENGTH) -> None:
        self._dead_letters: deque[DeadLetter] = deque(maxlen=MAX_DEAD_LETTERS)
        self._queues = {t: Queue(t, max_length, self._dead_letters) for t in STORED_TOPICS}
        self._watches: list[Watch] = []
        self._consumers: list[Consumer] = []
        self._publishes: set[asyncio.Future[None]] = set()
        self._closed = False

    async def publish(self, topic: Topic, message: Message) -> None:
        self._check_open()
        if topic in WATCHED_TOPICS:
            # A slow watch is no reason to announce again.
            await self._wait(self._offer(topic, message))
            return
        kept = self._queues[topic].put(message)
        if not await self._wait([kept]):
            raise BrokerUnavailable(f"No handler of {topic} was done in time.")
        kept.result()

    async def watch_changes(self, handler: Handler) -> Watch:
        return self._watch(Topic.CHANGES, handler)

    async def watch_applied(self, handler: Handler) -> Watch:
        return self._watch(Topic.APPLIED, handler)

    def _watch(self, topic: Topic, handler: Handler) -> Watch:
        self._check_open()
        watch = Watch(topic, handler)
        self._watches = [*(w for w in self._watches if not w.closed), watch]
        return watch

    async def consume(self, topic: Topic, handler: Handler, *, prefetch: int) -> Consumer:
        self._check_open()
        if topic not in STORED_TOPICS:
            raise ValueError(f"{topic} is watched, not consumed")
        consumer = Consumer(self._queues[topic], handler, prefetch)
        self._consumers = [*(c for c in self._consumers if not c.closed), consumer]
        return consumer

    async def list_dead_letters(
        self, limit: int, wanted: DeadLetterFilter = ANY_LETTER
    ) -> list[DeadLetterInfo]:
        return [DeadLetterInfo.of(letter) for letter in self._wanted(limit, wanted)]

    def _wanted(self, limit: int, wanted: DeadLetterFilter) -> list[DeadLetter]:
        self._check_open()
        return [letter for letter in self._dead_letters if wanted.covers(letter)][:limit]

    async def replay_dead_letters(self, limit: int, wanted: DeadLetterFilter = ANY_LETTER) -> int:
        letters = self._wanted(limit, wanted)
        for letter in letters:
            await self.publish(letter.topic, letter.message)
            self._forget(letter)
        return len(letters)

    async def drop_dead_letters(self, limit: int, wanted: DeadLetterFilter = ANY_LETTER) -> int:
        letters = self._wanted(limit, wanted)
        for letter in letters:
            self._forget(letter)
        return len(letters)

    def _forget(self, letter: DeadLetter) -> None:
        """This very one: a replayed message may have died anew and equal it."""
        for index, each in enumerate(self._dead_letters):
            if each is letter:
                del self._dead_letters[index]
                return

    async def count_dead_letters(self) -> int:
        return len(self._dead_letters)

    @property
    def healthy(self) -> bool:
        return not self._closed

    async def close(self) -> None:
        self._closed = True
        if self._publishes:
            await asyncio.wait(self._publishes, timeout=CONFIRM_TIMEOUT)
        for queue in self._queues.values():
            queue.close()
        async with asyncio.TaskGroup() as group:
            for consumer in self._consumers:
                group.create_task(consumer.close())
            for watch in self._watches:
                group.create_task(watch.close())

    async def _wait(self, handlers: list[asyncio.Future[None]]) -> bool:
        """Whether all were done in time; they go on even if the publisher does not."""
        if not handlers:
            return True
        self._publishes.update(handlers)
        try:
            _, late = await asyncio.wait(handlers, timeout=CONFIRM_TIMEOUT)
        finally:
            self._publishes.difference_update(handlers)
        return not late

    def _offer(self, topic: Topic, message: Message) -> list[asyncio.Future[None]]:
        offers = (watch.try_write(message) for watch in self._watches if watch.topic is topic)
        return [kept for kept in offers if kept is not None]

    def _check_open(self) -> None:
        if self._closed:
            raise BrokerUnavailable("The bus is closed.")
