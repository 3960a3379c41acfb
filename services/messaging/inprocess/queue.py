"""Messages that are stored until a consumer has handled them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress

from services.messaging.delivery import DRAIN_TIMEOUT, reason_of, retry_delay
from services.messaging.inprocess.delivery import Delivery
from services.messaging.ports import DELIVERY_LIMIT, DeadLetter, Handler, Message, Topic
from services.runtime.errors import ResourceExhausted

_log = logging.getLogger(__name__)


class Queue:
    """The messages of one topic, and the consumers that compete for them."""

    def __init__(self, topic: Topic, max_length: int, dead_letters: deque[DeadLetter]) -> None:
        self._topic = topic
        self._max_length = max_length
        self._dead_letters = dead_letters
        self._waiting: deque[Delivery] = deque()
        self._consumers: deque[Consumer] = deque()
        self._closed = False

    def put(self, message: Message) -> asyncio.Future[None]:
        if len(self._waiting) >= self._max_length:
            raise ResourceExhausted(f"The queue of {self._topic} is at its limit.")
        delivery = Delivery(message)
        self._waiting.append(delivery)
        self.dispatch()
        return delivery.kept

    def put_back(self, delivery: Delivery) -> None:
        if self._closed:
            delivery.lose()
            return
        self._waiting.appendleft(delivery)
        self.dispatch()

    def close(self) -> None:
        """Start no further handler."""
        self._closed = True
        while self._waiting:
            self._waiting.popleft().lose()

    def add(self, consumer: Consumer) -> None:
        self._consumers.append(consumer)
        self.dispatch()

    def remove(self, consumer: Consumer) -> None:
        with suppress(ValueError):
            self._consumers.remove(consumer)

    def bury(self, delivery: Delivery, error: Exception) -> None:
        letter = DeadLetter(delivery.message, self._topic, reason_of(error))
        identity = delivery.message.id
        _log.warning("%s message %s is a dead letter: %s", self._topic, identity, letter.reason)
        if len(self._dead_letters) == self._dead_letters.maxlen:
            _log.warning("There are too many dead letters; the oldest goes")
        self._dead_letters.append(letter)
        delivery.settle()

    def dispatch(self) -> None:
        """Give what waits to consumers with a free slot, in turn."""
        while self._waiting and (consumer := self._next_free()):
            consumer.start(self._waiting.popleft())

    def _next_free(self) -> Consumer | None:
        for _ in range(len(self._consumers)):
            consumer = self._consumers[0]
            self._consumers.rotate(-1)
            if consumer.free:
                return consumer
        return None


class Consumer:
    """Runs at most ``prefetch`` handlers at once."""

    def __init__(self, queue: Queue, handler: Handler, prefetch: int) -> None:
        self._queue = queue
        self._handler = handler
        self._prefetch = prefetch
        self._running: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        queue.add(self)

    @property
    def closed(self) -> bool:
        return self._closing.is_set()

    @property
    def free(self) -> bool:
        return len(self._running) < self._prefetch

    def start(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._handle(delivery))
        self._running.add(task)
        task.add_done_callback(self._finished)

    async def close(self) -> None:
        self._closing.set()
        self._queue.remove(self)
        if self._running:
            await asyncio.wait(self._running, timeout=DRAIN_TIMEOUT)
        for task in self._running:
            task.cancel()
        if self._running:
            _log.warning("%d handlers did not end in time", len(self._running))
            await asyncio.wait(self._running)
        self._queue.dispatch()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._queue.dispatch()

    async def _handle(self, delivery: Delivery) -> None:
        try:
            while not await self._tried(delivery):
                if self._closing.is_set():
                    self._queue.put_back(delivery)
                    return
        except asyncio.CancelledError:
            self._queue.put_back(delivery)
            raise

    async def _tried(self, delivery: Delivery) -> bool:
        """Whether the delivery is settled, one way or the other."""
        try:
            await self._handler(delivery.message)
        except Exception as error:  # noqa: BLE001 - any failure is a failed delivery
            delivery.failures += 1
            if delivery.failures >= DELIVERY_LIMIT:
                self._queue.bury(delivery, error)
                return True
            with suppress(TimeoutError):
                async with asyncio.timeout(retry_delay(delivery.failures)):
                    await self._closing.wait()
            return False
        delivery.settle()
        return True
