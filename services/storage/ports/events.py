"""What `ingest` writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.storage.model.events import EvaluationCount, InsightBatch
from services.storage.model.observations import UserObservations


class EventStore(Protocol):
    """End users, events and roll-ups."""

    async def store_observations(self, observations: Sequence[UserObservations]) -> None:
        """Newer attributes win over older ones of the same name; also learns property names.

        Where it fails some may be stored: try again.
        """
        ...

    async def store_insights(self, batches: Sequence[InsightBatch]) -> int:
        """Events and roll-ups of all in one transaction; how many batches were not there yet.

        A batch that was there, or comes twice, is left out. First exposures are merged as
        well. Stored as docs/protocol/insights.md says.
        """
        ...

    async def count_evaluations(
        self, environment_id: str, flag_key: str, start: datetime, end: datetime
    ) -> list[EvaluationCount]:
        """Hours from the one that holds ``start`` up to but without ``end``; by hour, variation."""
        ...
