"""The bus of `standalone`: the same promises inside one process and one event loop.

`publish` returns when the handlers are done, so what it acknowledged is stored although
nothing here survives the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from services.messaging.delivery import CONFIRM_TIMEOUT, DRAIN_TIMEOUT, reason_of, retry_delay
from services.messaging.ports import (
    ANY_LETTER,
    DELIVERY_LIMIT,
    DeadLetter,
    Handler,
    LetterFilter,
    LetterNote,
    Message,
    Topic,
)
from services.messaging.topology import STORED_TOPICS, WATCHED_TOPICS
from services.runtime.errors import BrokerUnavailable, ResourceExhausted

MAX_LENGTH: Final = 10_000
"""Messages that wait for a consumer, per topic, and notices that wait in one watch."""

MAX_DEAD_LETTERS: Final = 1_000
"""Dead letters kept; then the oldest gives way."""

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Delivery:
    """A message on its way; ``kept`` is done when its publisher may be answered."""

    message: Message
    kept: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    failures: int = 0

    def settle(self) -> None:
        if not self.kept.done():
            self.kept.set_result(None)

    def lose(self) -> None:
        """The bus ends with the message unhandled: its publisher must not believe otherwise."""
        if not self.kept.done():
            self.kept.set_exception(BrokerUnavailable("The bus is closed."))
            self.kept.exception()  # the publisher may be gone; then nobody needs to know


class _Watch:
    """Hands notices to the handler one at a time, in the order in which they came."""

    def __init__(self, topic: Topic, handler: Handler) -> None:
        self.topic = topic
        self._handler = handler
        self._bound: set[str] = set()
        self._notices: deque[_Delivery] = deque()
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

    def offer(self, message: Message) -> asyncio.Future[None] | None:
        """Done when the handler is; None when the environment is not bound here."""
        if self.closed or message.environment_id not in self._bound:
            return None
        if len(self._notices) >= MAX_LENGTH:
            _log.warning("A watch is %d notices behind; the oldest goes", MAX_LENGTH)
            self._notices.popleft().settle()
        delivery = _Delivery(message)
        self._notices.append(delivery)
        self._arrived.set()
        return delivery.kept

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._notices:
                await self._hand_over(self._notices[0])

    async def _hand_over(self, delivery: _Delivery) -> None:
        try:
            await self._handler(delivery.message)
        except Exception:  # noqa: BLE001 - a handler's error must not end the watch
            what, where = WATCHED_TOPICS[self.topic], delivery.message.environment_id
            _log.exception("The handler of a %s of %s failed", what, where)
        delivery.settle()
        with suppress(ValueError):  # it may have given way meanwhile
            self._notices.remove(delivery)


class _Queue:
    """The messages of one topic, and the consumers that compete for them."""

    def __init__(self, topic: Topic, max_length: int, dead_letters: deque[DeadLetter]) -> None:
        self._topic = topic
        self._max_length = max_length
        self._dead_letters = dead_letters
        self._waiting: deque[_Delivery] = deque()
        self._consumers: deque[_Consumer] = deque()
        self._closed = False

    def put(self, message: Message) -> asyncio.Future[None]:
        if len(self._waiting) >= self._max_length:
            raise ResourceExhausted(f"The queue of {self._topic} is at its limit.")
        delivery = _Delivery(message)
        self._waiting.append(delivery)
        self.dispatch()
        return delivery.kept

    def put_back(self, delivery: _Delivery) -> None:
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

    def add(self, consumer: _Consumer) -> None:
        self._consumers.append(consumer)
        self.dispatch()

    def remove(self, consumer: _Consumer) -> None:
        with suppress(ValueError):
            self._consumers.remove(consumer)

    def bury(self, delivery: _Delivery, error: Exception) -> None:
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

    def _next_free(self) -> _Consumer | None:
        for _ in range(len(self._consumers)):
            consumer = self._consumers[0]
            self._consumers.rotate(-1)
            if consumer.free:
                return consumer
        return None


class _Consumer:
    """Runs at most ``prefetch`` handlers at once."""

    def __init__(self, queue: _Queue, handler: Handler, prefetch: int) -> None:
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

    def start(self, delivery: _Delivery) -> None:
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

    async def _handle(self, delivery: _Delivery) -> None:
        try:
            while not await self._tried(delivery):
                if self._closing.is_set():
                    self._queue.put_back(delivery)
                    return
        except asyncio.CancelledError:
            self._queue.put_back(delivery)
            raise

    async def _tried(self, delivery: _Delivery) -> bool:
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


class InProcessBus:
    """A `Bus`.

    Its `publish` waits for the handlers, at most 5 seconds; then it raises
    `BrokerUnavailable`, although the message stays and is handled in the end.
    """

    def __init__(self, *, max_length: int = MAX_LENGTH) -> None:
        self._dead_letters: deque[DeadLetter] = deque(maxlen=MAX_DEAD_LETTERS)
        self._queues = {t: _Queue(t, max_length, self._dead_letters) for t in STORED_TOPICS}
        self._watches: list[_Watch] = []
        self._consumers: list[_Consumer] = []
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

    async def watch_changes(self, handler: Handler) -> _Watch:
        return self._watch(Topic.CHANGES, handler)

    async def watch_applied(self, handler: Handler) -> _Watch:
        return self._watch(Topic.APPLIED, handler)

    def _watch(self, topic: Topic, handler: Handler) -> _Watch:
        self._check_open()
        watch = _Watch(topic, handler)
        self._watches = [*(w for w in self._watches if not w.closed), watch]
        return watch

    async def consume(self, topic: Topic, handler: Handler, *, prefetch: int) -> _Consumer:
        self._check_open()
        if topic not in STORED_TOPICS:
            raise ValueError(f"{topic} is watched, not consumed")
        consumer = _Consumer(self._queues[topic], handler, prefetch)
        self._consumers = [*(c for c in self._consumers if not c.closed), consumer]
        return consumer

    async def list_dead_letters(
        self, limit: int, wanted: LetterFilter = ANY_LETTER
    ) -> list[LetterNote]:
        return [LetterNote.of(letter) for letter in self._wanted(limit, wanted)]

    def _wanted(self, limit: int, wanted: LetterFilter) -> list[DeadLetter]:
        self._check_open()
        return [letter for letter in self._dead_letters if wanted.covers(letter)][:limit]

    async def replay_dead_letters(self, limit: int, wanted: LetterFilter = ANY_LETTER) -> int:
        letters = self._wanted(limit, wanted)
        for letter in letters:
            await self.publish(letter.topic, letter.message)
            self._forget(letter)
        return len(letters)

    async def drop_dead_letters(self, limit: int, wanted: LetterFilter = ANY_LETTER) -> int:
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
        offers = (watch.offer(message) for watch in self._watches if watch.topic is topic)
        return [kept for kept in offers if kept is not None]

    def _check_open(self) -> None:
        if self._closed:
            raise BrokerUnavailable("The bus is closed.")
