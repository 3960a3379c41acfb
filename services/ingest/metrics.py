"""What `ingest` exports; docs/operations/metrics.md has the list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from services.messaging.ports import Bus, Handler, Message, Topic
from services.messaging.topology import STORED_TOPICS
from services.runtime.errors import BrokerUnavailable
from services.runtime.metrics import by_label, gauge

MEASURE_SECONDS: Final = 15.0
"""How often the dead letters are counted."""


class IngestMetrics(Collector):
    """Counts what its handlers did, and remembers how many dead letters there were."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._stored = dict.fromkeys(sorted(STORED_TOPICS), 0)
        self._failed = dict.fromkeys(sorted(STORED_TOPICS), 0)
        self._dead_letters = 0

    def counted(self, topic: Topic, handler: Handler) -> Handler:
        """The handler, with what becomes of its messages counted."""

        async def handle(message: Message) -> None:
            try:
                await handler(message)
            except Exception:
                self._failed[topic] += 1
                raise
            self._stored[topic] += 1

        return handle

    async def measure(self) -> None:
        """Counts the dead letters; while the broker is away the last number stands."""
        with suppress(BrokerUnavailable):
            self._dead_letters = await self._bus.count_dead_letters()

    def collect(self) -> Iterator[Metric]:
        """All of them, at this moment."""
        text = "Batches stored, or found to be stored before."
        yield _by_topic("featmesh_ingest_batches_stored", text, self._stored)
        text = "Deliveries that could not be stored; the fifth of a message makes it a dead letter."
        yield _by_topic("featmesh_ingest_failures", text, self._failed)
        text = "Messages that nobody could store, kept for an operator."
        yield gauge("featmesh_ingest_dead_letters", text, self._dead_letters)


def _by_topic(name: str, help_text: str, counts: dict[Topic, int]) -> Metric:
    values = ((topic.value, count) for topic, count in counts.items())
    return by_label(CounterMetricFamily, name, help_text, label="topic", values=values)
