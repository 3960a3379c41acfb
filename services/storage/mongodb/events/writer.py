"""Stores batches of events with their roll-ups, each batch once."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Final

from services.storage.model.events import InsightBatch
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.commands import insert_many
from services.storage.mongodb.driver.transactions import Session
from services.storage.mongodb.events.exposures import exposures, write_exposures
from services.storage.mongodb.events.retention import Retentions
from services.storage.mongodb.events.roll_ups import Additions, additions, write_additions
from services.storage.mongodb.events.rows import Row, evaluation_rows, metric_rows
from services.storage.mongodb.events.shards import FIRST_PART, other_shard

ROWS_AT_ONCE: Final = 250
"""Made in one turn of the loop, in about a millisecond."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """All that is written of some batches, but for what depends on the store."""

    ids: list[Document]
    additions: Additions
    evaluations: list[Row]
    metrics: list[Row]

    @classmethod
    async def of(cls, by_id: Mapping[str, InsightBatch], kept_ms: Mapping[str, int]) -> _Prepared:
        """The batches by their ids, and how long the environments keep their events.

        In turns with the loop's other work: a transaction may wait for its next step.
        """
        batches = by_id.values()
        ids = [
            {"_id": one, "received_at": _EPOCH + timedelta(milliseconds=batch.received_ms)}
            for one, batch in by_id.items()
        ]
        evaluations, metrics = _rows(batches, kept_ms)
        return cls(
            ids,
            await additions(batches),
            await _materialise(evaluations),
            await _materialise(metrics),
        )


class EventWriter:
    """One per process. Of several calls one has a transaction, and the others get ready.

    Two transactions side by side would need parts of their own, which doubles what is written
    to roll-ups and read from them, and would take all of a small machine from everybody else.
    Where two processes meet in a part, the one whose transaction fails leaves it for another.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._retentions = Retentions(connection)
        self._part = FIRST_PART
        self._turn = asyncio.Lock()

    async def store(self, batches: Sequence[InsightBatch]) -> int:
        """One transaction over all; how many of the batches were not there yet."""
        by_id = {_id_of(batch): batch for batch in batches}
        await write_exposures(self._connection, exposures(by_id.values()))
        kept_ms = await self._retentions.read(batch.environment_id for batch in by_id.values())
        prepared = await _Prepared.of(by_id, kept_ms)
        attempts = 0

        async def store_unknown(session: Session) -> int:
            nonlocal attempts
            if attempts:  # the one before met another transaction, or lost the primary
                self._part = other_shard(self._part)
            attempts += 1
            unknown = await self._unknown(by_id, session)
            if unknown:
                all_new = len(unknown) == len(by_id)
                new = prepared if all_new else await _Prepared.of(unknown, kept_ms)
                await self._write(new, session)
            return len(unknown)

        return await self._connection.transactions.run_serialized(store_unknown, self._turn)

    async def _unknown(
        self, by_id: dict[str, InsightBatch], session: Session
    ) -> dict[str, InsightBatch]:
        query = {"_id": {"$in": list(by_id)}}
        cursor = self._connection["insight_batches"].find(query, {"_id": 1}, session=session)
        known = {document["_id"] async for document in cursor}
        return {one: batch for one, batch in by_id.items() if one not in known}

    async def _write(self, new: _Prepared, session: Session) -> None:
        """Rows first: while MongoDB is at them the next group is made ready."""
        connection = self._connection
        await insert_many(connection, "insight_batches", new.ids, session=session)
        await insert_many(connection, "flag_evaluations", new.evaluations, session=session)
        await insert_many(connection, "metric_events", new.metrics, session=session)
        await write_additions(connection, new.additions, self._part, session)


def _rows(
    batches: Collection[InsightBatch], kept_ms: Mapping[str, int]
) -> tuple[Iterator[Row], Iterator[Row]]:
    """Of evaluations and metric events, made when they are asked for."""
    evaluations: list[Iterator[Row]] = []
    metrics: list[Iterator[Row]] = []
    for environment_id, kept in kept_ms.items():
        own = [batch for batch in batches if batch.environment_id == environment_id]
        served = chain.from_iterable(each.evaluations for each in own)
        evaluations.append(evaluation_rows(environment_id, served, kept))
        done = chain.from_iterable(each.metrics for each in own)
        metrics.append(metric_rows(environment_id, done, kept))
    return chain.from_iterable(evaluations), chain.from_iterable(metrics)


async def _materialise(rows: Iterator[Row]) -> list[Row]:
    """All of them, so many in one turn of the loop."""
    drawn: list[Row] = []
    while some := list(islice(rows, ROWS_AT_ONCE)):
        drawn += some
        await asyncio.sleep(0)
    return drawn


def _id_of(batch: InsightBatch) -> str:
    return f"{batch.environment_id}/{batch.batch_id}"
