"""What the services ask of a message bus. Adapters: `rabbitmq` and `inprocess`.

Payloads are serialised ``featmesh.messaging.v1`` messages; a bus never looks inside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Topic(StrEnum):
    """One exchange each; see `services.messaging.topology`."""

    CHANGES = "changes"
    USERS = "users"
    INSIGHTS = "insights"
    APPLIED = "applied"


@dataclass(frozen=True, slots=True)
class Message:
    """``id`` is unique, ``environment_id`` routes, ``headers`` hold the trace context."""

    id: str
    environment_id: str
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Message], Awaitable[None]]
"""Returns when the message is dealt with (it is then acknowledged). Raising delivers it
again, later; after `DELIVERY_LIMIT` deliveries it goes to the dead letters with the text
of the error as reason. While a part it needs is away a handler waits instead of raising."""

DELIVERY_LIMIT = 5
"""Deliveries of one message before it becomes a dead letter."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that no handler could deal with, with where it came from and why."""

    message: Message
    topic: Topic
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetterInfo:
    """What there is to know of a dead letter without its payload: a thousand are a megabyte."""

    message_id: str
    environment_id: str
    topic: Topic
    reason: str
    payload_bytes: int

    @classmethod
    def of(cls, letter: DeadLetter) -> DeadLetterInfo:
        """The note of a letter, which is not held on to."""
        message = letter.message
        size = len(message.payload)
        return cls(message.id, message.environment_id, letter.topic, letter.reason, size)


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters: of this topic, with one of these message ids; None and empty for any."""

    topic: Topic | None = None
    message_ids: frozenset[str] = frozenset()

    def covers(self, letter: DeadLetter) -> bool:
        """Whether the letter is meant."""
        if self.topic is not None and letter.topic is not self.topic:
            return False
        return not self.message_ids or letter.message.id in self.message_ids


ANY_LETTER = DeadLetterFilter()


class DeadLetters(Protocol):
    """What to do about messages that no handler could deal with.

    Every call but the count looks at the oldest 1,000. All raise `BrokerUnavailable`.
    """

    async def list_dead_letters(
        self, limit: int, wanted: DeadLetterFilter = ANY_LETTER
    ) -> list[DeadLetterInfo]:
        """A look at the oldest, at most ``limit`` and 1,000; they stay where they are.

        Payloads pass one by one: no more than two are in memory at once.
        """
        ...

    async def replay_dead_letters(self, limit: int, wanted: DeadLetterFilter = ANY_LETTER) -> int:
        """Publish them to their topic again, and remove each once that is confirmed.

        A crash in between leaves a letter in both places, never in none. Raises
        `ResourceExhausted` when the queue is full; those before it are replayed. How many.
        """
        ...

    async def drop_dead_letters(self, limit: int, wanted: DeadLetterFilter = ANY_LETTER) -> int:
        """Remove them for good. How many."""
        ...

    async def count_dead_letters(self) -> int:
        """How many there are, beyond the oldest 1,000 too."""
        ...


class ChangeWatch(Protocol):
    """One process's own view of a topic: only environments that it binds."""

    async def bind(self, environment_id: str) -> None:
        """From the return on, messages of this environment reach the handler."""
        ...

    async def unbind(self, environment_id: str) -> None: ...

    async def close(self) -> None: ...


class Consumer(Protocol):
    """A running consumption."""

    async def close(self) -> None:
        """Take no new message, wait for the handlers under way, at most 10 seconds."""
        ...


class Bus(DeadLetters, Protocol):
    """Publishing and consuming. Reconnects by itself, bindings and consumers included."""

    async def publish(self, topic: Topic, message: Message) -> None:
        """Returns once the broker has confirmed.

        Raises `BrokerUnavailable` (away, or no confirm within 5 seconds) or
        `ResourceExhausted` (a queue is at its limit).
        """
        ...

    async def watch_changes(self, handler: Handler) -> ChangeWatch:
        """Every watch gets every change of what it binds; nothing is kept while away."""
        ...

    async def watch_applied(self, handler: Handler) -> ChangeWatch:
        """The same for `Topic.APPLIED`, apart: a flood of reports holds up no change."""
        ...

    async def consume(self, topic: Topic, handler: Handler, *, prefetch: int) -> Consumer:
        """Compete for `Topic.USERS` or `Topic.INSIGHTS` with other consumers.

        At most ``prefetch`` handlers run at once.
        """
        ...

    @property
    def healthy(self) -> bool:
        """Whether publishing would be tried now."""
        ...

    async def close(self) -> None:
        """Finish publishes under way (at most 5 seconds), then disconnect."""
        ...
