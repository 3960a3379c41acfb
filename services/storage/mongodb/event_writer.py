"""Stores batches of events with their roll-ups, each batch once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from services.storage.model import InsightBatch
from services.storage.mongodb.commands import insert_many
from services.storage.mongodb.connection import Connection
from services.storage.mongodb.event_rows import Row, evaluation_rows, metric_rows
from services.storage.mongodb.exposures import exposures, write_exposures
from services.storage.mongodb.parts import Parts
from services.storage.mongodb.retentions import Retentions
from services.storage.mongodb.roll_ups import additions, write_additions
from services.storage.mongodb.transactions import Session

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class EventWriter:
    """One per process; its transactions may run side by side."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._retentions = Retentions(connection)
        self._parts = Parts()

    async def store(self, batches: Sequence[InsightBatch]) -> int:
        """One transaction over all; how many of the batches were not there yet."""
        by_id = {_id_of(batch): batch for batch in batches}
        await write_exposures(self._connection, exposures(by_id.values()))
        kept_ms = await self._retentions.read(batch.environment_id for batch in by_id.values())
        part, attempts = self._parts.take(), 0

        async def store_unknown(session: Session) -> int:
            nonlocal part, attempts
            if attempts:  # the one before met another transaction, or lost the primary
                part = self._parts.exchange(part)
            attempts += 1
            unknown = await self._unknown(by_id, session)
            if unknown:
                await self._write(unknown, kept_ms, part, session)
            return len(unknown)

        try:
            return await self._connection.transactions.run(store_unknown)
        finally:
            self._parts.give_back(part)

    async def _unknown(
        self, by_id: dict[str, InsightBatch], session: Session
    ) -> dict[str, InsightBatch]:
        query = {"_id": {"$in": list(by_id)}}
        cursor = self._connection["insight_batches"].find(query, {"_id": 1}, session=session)
        known = {document["_id"] async for document in cursor}
        return {one: batch for one, batch in by_id.items() if one not in known}

    async def _write(
        self, by_id: dict[str, InsightBatch], kept_ms: dict[str, int], part: int, session: Session
    ) -> None:
        """What others may be writing too comes first: a conflict then costs little."""
        batches = by_id.values()
        stored = [
            {"_id": one, "received_at": _EPOCH + timedelta(milliseconds=batch.received_ms)}
            for one, batch in by_id.items()
        ]
        await insert_many(self._connection, "insight_batches", stored, session=session)
        await write_additions(self._connection, additions(batches), part, session)
        evaluations, metrics = _rows(batches, kept_ms)
        await insert_many(self._connection, "flag_evaluations", evaluations, session=session)
        await insert_many(self._connection, "metric_events", metrics, session=session)


def _rows(batches: Iterable[InsightBatch], kept_ms: dict[str, int]) -> tuple[list[Row], list[Row]]:
    """Of evaluations and metric events."""
    evaluations: list[Row] = []
    metrics: list[Row] = []
    for environment_id, kept in kept_ms.items():
        own = [batch for batch in batches if batch.environment_id == environment_id]
        served = chain.from_iterable(each.evaluations for each in own)
        evaluations.extend(evaluation_rows(environment_id, served, kept))
        done = chain.from_iterable(each.metrics for each in own)
        metrics.extend(metric_rows(environment_id, done, kept))
    return evaluations, metrics


def _id_of(batch: InsightBatch) -> str:
    return f"{batch.environment_id}/{batch.batch_id}"
