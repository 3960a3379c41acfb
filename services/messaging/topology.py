"""Every name and argument of the RabbitMQ topology, as data.

Declared whole by each process that connects: a publisher's messages must find their queue
even when no consumer ever ran. Declaring twice is harmless, with other arguments it fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.messaging.ports import Topic

CONTENT_TYPE: Final = "application/x-protobuf"

HEADER_ENVIRONMENT: Final = "x-featmesh-environment"
HEADER_TOPIC: Final = "x-featmesh-topic"
HEADER_REASON: Final = "x-featmesh-reason"
HEADER_DELIVERIES: Final = "x-delivery-count"
"""Set by a quorum queue: how often the message was delivered before; absent at first."""
HEADER_FIRST_DEATH: Final = "x-first-death-reason"
"""Set by the broker when it, and not we, gave a message to the dead letters."""

BROKER_HEADERS: Final = ("x-featmesh-", "x-delivery-", "x-death", "x-first-death", "x-last-death")
"""Prefixes of headers that are not part of the message as it was published."""

DEFAULT_PREFIX: Final = "featmesh"

MAX_LENGTH: Final = 1_000_000
"""Messages waiting in one durable queue before the broker refuses more."""

BROKER_DELIVERY_LIMIT: Final = 20
"""The broker's own end of a message that kills each consumer before it can fail."""

UNLIMITED_DELIVERIES: Final = 1_000_000_000
"""Dead letters may be looked at as often as one likes; a newer broker's default is 20."""

WATCH_ARGUMENTS: Final[dict[str, str | int]] = {"x-max-length": 10_000, "x-overflow": "drop-head"}
"""A notice only says "look", and an SDK repeats its report, so the oldest may go."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable quorum queue that takes everything of one exchange."""

    name: str
    exchange: str
    arguments: dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Topology:
    """The topology under one name prefix, so that several can share a broker."""

    prefix: str = DEFAULT_PREFIX
    max_length: int = MAX_LENGTH

    def exchange(self, topic: Topic) -> str:
        """The durable topic exchange that takes this topic's messages."""
        return f"{self.prefix}.{topic.value}"

    def store_queue(self, topic: Topic) -> str:
        """The queue from which `ingest` stores; only for `STORED_TOPICS`."""
        return f"{self.prefix}.{topic.value}.store"

    def topic_of(self, queue: str) -> Topic | None:
        """The inverse of `store_queue`."""
        return next((t for t in STORED_TOPICS if self.store_queue(t) == queue), None)

    @property
    def dead_letters(self) -> str:
        """The name of the exchange and of its one queue."""
        return f"{self.prefix}.dead-letters"

    @property
    def exchanges(self) -> tuple[str, ...]:
        """All of them durable topic exchanges."""
        return (*(self.exchange(topic) for topic in Topic), self.dead_letters)

    @property
    def queues(self) -> tuple[Queue, ...]:
        """All durable queues."""
        stores = (self._store(topic) for topic in STORED_TOPICS)
        return (*stores, self._dead_letter_queue())

    def _store(self, topic: Topic) -> Queue:
        name = self.store_queue(topic)
        arguments: dict[str, str | int] = {
            **self._bounded(),
            "x-delivery-limit": BROKER_DELIVERY_LIMIT,
            "x-dead-letter-exchange": self.dead_letters,
            "x-dead-letter-routing-key": name,
            "x-dead-letter-strategy": "at-least-once",
        }
        return Queue(name, self.exchange(topic), arguments)

    def _dead_letter_queue(self) -> Queue:
        arguments = {**self._bounded(), "x-delivery-limit": UNLIMITED_DELIVERIES}
        return Queue(self.dead_letters, self.dead_letters, arguments)

    def _bounded(self) -> dict[str, str | int]:
        return {
            "x-queue-type": "quorum",
            "x-max-length": self.max_length,
            "x-overflow": "reject-publish",
        }


STORED_TOPICS: Final = (Topic.USERS, Topic.INSIGHTS)
"""Topics whose messages wait in a durable queue for one of competing consumers."""

WATCHED_TOPICS: Final = {Topic.CHANGES: "change", Topic.APPLIED: "report"}
"""Topics of which each process has a view of its own, and what one message of them is."""
