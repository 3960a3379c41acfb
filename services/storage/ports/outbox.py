"""What the relay reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.storage.model.changes import OutboxBacklog, OutboxEntry


class OutboxStore(Protocol):
    """Committed changes that wait for their announcement."""

    async def list_outbox(self, limit: int) -> list[OutboxEntry]:
        """Oldest first."""
        ...

    async def delete_outbox(self, ids: Sequence[str]) -> None: ...

    async def measure_outbox(self) -> OutboxBacklog:
        """How much waits; beyond 10,000 entries they are no longer counted."""
        ...
