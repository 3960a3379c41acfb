"""What `api` exports; docs/operations/metrics.md has the list."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from services.runtime.errors import StoreUnavailable
from services.runtime.metrics import counter, gauge
from services.storage.model.changes import OutboxBacklog
from services.storage.ports.outbox import OutboxStore

MEASURE_SECONDS: Final = 5.0
"""How often the outbox is looked at."""


class ApiMetrics(Collector):
    """Counts commits, and remembers how the outbox was when it was last looked at."""

    def __init__(self, outbox: OutboxStore) -> None:
        self._outbox = outbox
        self._commits = 0
        self._backlog = OutboxBacklog(0, None)

    def committed(self) -> None:
        """A change was committed here."""
        self._commits += 1

    async def measure(self) -> None:
        """Looks at the outbox; while the store is away the last look stands."""
        with suppress(StoreUnavailable):
            self._backlog = await self._outbox.measure_outbox()

    def collect(self) -> Iterator[Metric]:
        """All of them, at this moment."""
        backlog = self._backlog
        yield counter("featmesh_api_commits", "Changes committed here.", self._commits)
        text = "Committed changes that wait for their announcement."
        yield gauge("featmesh_api_outbox_changes", text, backlog.count)
        text = "Age of the oldest change that waits for its announcement."
        yield gauge("featmesh_api_outbox_age_seconds", text, _age(backlog))


def _age(backlog: OutboxBacklog) -> float:
    if backlog.oldest_revision is None:
        return 0.0
    return max(0.0, time.time() - backlog.oldest_revision / 1000)  # a revision is a time in ms
