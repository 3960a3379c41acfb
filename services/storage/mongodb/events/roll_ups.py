"""Roll-ups of events: what a group of batches adds to which bucket, and how it is written."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bson.int64 import Int64

from services.storage.model import sketches
from services.storage.model.events import InsightBatch
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.commands import CHUNK, update_many
from services.storage.mongodb.driver.transactions import Session

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

MINUTES_KEPT: Final = timedelta(hours=48)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Names = tuple[str, ...]
"""What a bucket is of: an environment, or environment, flag and variation."""


@dataclass(slots=True)
class Addition:
    """What is new in one bucket."""

    evaluations: int = 0
    events: int = 0
    dropped: int = 0
    users: set[str] = field(default_factory=set)

    def add(self, finer: Addition) -> None:
        """Takes the evaluations of a bucket that this one holds."""
        self.evaluations += finer.evaluations
        self.users |= finer.users


Buckets = dict[tuple[Names, int], Addition]
"""Additions by what they are of, and by the start of the bucket in milliseconds."""


@dataclass(slots=True)
class Additions:
    """What a group of batches adds."""

    minutes: Buckets = field(default_factory=lambda: defaultdict(Addition))
    hours: Buckets = field(default_factory=lambda: defaultdict(Addition))
    days: Buckets = field(default_factory=lambda: defaultdict(Addition))
    environment_days: Buckets = field(default_factory=lambda: defaultdict(Addition))


async def additions(batches: Iterable[InsightBatch]) -> Additions:
    """Everything that these batches add, one of them in one turn of the loop."""
    found = Additions()
    for batch in batches:
        await asyncio.sleep(0)
        _add_evaluations(found, batch)
        _add_metrics(found, batch)
        if batch.dropped:
            day = batch.received_ms - batch.received_ms % DAY_MS
            found.environment_days[(batch.environment_id,), day].dropped += batch.dropped
    _sum_up(found)
    return found


def _add_evaluations(found: Additions, batch: InsightBatch) -> None:
    minutes, environment = found.minutes, batch.environment_id
    for flag, variation, user, _, _, count, _, last_ms in batch.evaluations:
        names = (environment, flag, variation)
        addition = minutes[names, last_ms - last_ms % MINUTE_MS]
        addition.evaluations += count
        addition.users.add(user)


def _add_metrics(found: Additions, batch: InsightBatch) -> None:
    names = (batch.environment_id,)
    for metric in batch.metrics:
        addition = found.environment_days[names, metric.time_ms - metric.time_ms % DAY_MS]
        addition.events += 1
        addition.users.add(metric.user_key)


def _sum_up(found: Additions) -> None:
    """Hours hold what their minutes hold, days what their hours hold."""
    for (names, minute), addition in found.minutes.items():
        found.hours[names, minute - minute % HOUR_MS].add(addition)
    for (names, hour), addition in found.hours.items():
        found.days[names, hour - hour % DAY_MS].add(addition)
    for (names, day), addition in found.days.items():
        found.environment_days[names[:1], day].add(addition)


async def write_additions(
    connection: Connection, found: Additions, part: int, session: Session
) -> None:
    """Adds to the documents of ``part``, in an order that all writers share."""
    oldest = connection.now() - MINUTES_KEPT
    minutes = {
        bucket: addition
        for bucket, addition in found.minutes.items()
        if _time(bucket[1]) > oldest  # an older one would be removed at once
    }
    for kind, buckets in (
        (MINUTES, minutes),
        (HOURS, found.hours),
        (DAYS, found.days),
        (ENVIRONMENT_DAYS, found.environment_days),
    ):
        ordered = sorted(buckets)
        for start in range(0, len(ordered), CHUNK):
            chunk = {bucket: buckets[bucket] for bucket in ordered[start : start + CHUNK]}
            await _write(connection, kind, chunk, part, session)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One collection of buckets."""

    collection: str
    names: Sequence[str]
    start: str
    kept: timedelta | None = None

    def identity(self, bucket: tuple[Names, int], part: int) -> Document:
        names, start_ms = bucket
        return {
            **dict(zip(self.names, names, strict=True)),
            self.start: _time(start_ms),
            "part": part,
        }


_FLAG: Final = ("environment", "flag", "variation")
MINUTES: Final = _Kind("flag_minutes", _FLAG, "minute", MINUTES_KEPT)
HOURS: Final = _Kind("flag_hours", _FLAG, "hour")
DAYS: Final = _Kind("flag_days", _FLAG, "day")
ENVIRONMENT_DAYS: Final = _Kind("environment_days", ("environment",), "day")


async def _write(
    connection: Connection, kind: _Kind, buckets: Buckets, part: int, session: Session
) -> None:
    identities = [kind.identity(bucket, part) for bucket in buckets]
    query = {"_id": {"$in": identities}}
    cursor = connection[kind.collection].find(query, {"users": 1}, session=session)
    known = {_hashable(document["_id"]): document.get("users") async for document in cursor}
    statements = _statements(kind, zip(identities, buckets.values(), strict=True), known)
    await update_many(connection, kind.collection, list(statements), session=session)


def _statements(
    kind: _Kind,
    additions_by_identity: Iterable[tuple[Document, Addition]],
    known: dict[tuple[Any, ...], bytes | None],
) -> Iterator[Document]:
    for identity, addition in additions_by_identity:
        users = sketches.extended(known.get(_hashable(identity)), addition.users)
        counts = {"evaluations": Int64(addition.evaluations)}
        if kind is ENVIRONMENT_DAYS:
            counts |= {"events": Int64(addition.events), "dropped": Int64(addition.dropped)}
        fields = dict(identity)
        if kind.kept is not None:
            fields["expires_at"] = identity[kind.start] + kind.kept
        yield {
            "q": {"_id": identity},
            "u": {"$inc": counts, "$set": {"users": users}, "$setOnInsert": fields},
            "upsert": True,
        }


def _hashable(identity: Document) -> tuple[Any, ...]:
    return tuple(identity.values())


def _time(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
