"""First exposures: which variation of an experiment a user was served first.

Merging is idempotent and the order of arrival does not matter, so it needs no transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import UpdateOne

from services.storage.model.events import EvaluationEvent, InsightBatch
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.commands import CHUNK

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Experiment = tuple[str, str]
"""Environment id and flag key: events do not say which rule of the flag decided."""


@dataclass(slots=True)
class Exposure:
    """The earliest exposure of one user, and whether there were others."""

    first_time: datetime
    variation: str
    flag_revision: int
    several: bool = False

    @classmethod
    def of(cls, event: EvaluationEvent) -> Exposure:
        first_time = _EPOCH + timedelta(milliseconds=event.first_ms)
        return cls(first_time, event.variation_id, event.flag_revision)

    def merge(self, other: Exposure) -> None:
        """The earlier one's variation stays; of two at once the smaller."""
        self.several = self.several or other.several or self.variation != other.variation
        if (other.first_time, other.variation) < (self.first_time, self.variation):
            self.first_time, self.variation = other.first_time, other.variation
            self.flag_revision = other.flag_revision


Exposures = dict[Experiment, dict[str, Exposure]]
"""Of each experiment by user."""


def exposures(batches: Iterable[InsightBatch]) -> Exposures:
    """What these batches tell of experiments."""
    found: Exposures = defaultdict(dict)
    for batch in batches:
        for event in batch.evaluations:
            if event.in_experiment:
                users, exposure = found[batch.environment_id, event.flag_key], Exposure.of(event)
                known = users.setdefault(event.user_key, exposure)
                if known is not exposure:
                    known.merge(exposure)
    return found


async def write_exposures(connection: Connection, found: Exposures) -> None:
    """Merges what is new into what is stored; mostly nothing is."""
    for experiment, users in sorted(found.items()):
        keys = sorted(users)
        for start in range(0, len(keys), CHUNK):
            chunk = {key: users[key] for key in keys[start : start + CHUNK]}
            merges = await _merges(connection, experiment, chunk)
            if merges:
                await connection["experiment_exposures"].bulk_write(merges, ordered=False)


async def _merges(
    connection: Connection, experiment: Experiment, users: dict[str, Exposure]
) -> list[UpdateOne]:
    environment, flag = experiment
    query = {"environment": environment, "flag": flag, "user": {"$in": list(users)}}
    cursor = connection["experiment_exposures"].find(query)
    known = {document["user"]: document async for document in cursor}
    return list(_changes(environment, flag, users, known))


def _changes(
    environment: str, flag: str, users: dict[str, Exposure], known: dict[str, Document]
) -> Iterator[UpdateOne]:
    for user, exposure in users.items():
        if user not in known or _tells_more(known[user], exposure):
            query = {"environment": environment, "flag": flag, "user": user}
            yield UpdateOne(query, [{"$set": _merged(exposure)}], upsert=True)


def _tells_more(known: Document, exposure: Exposure) -> bool:
    earlier = (exposure.first_time, exposure.variation) < (known["first_time"], known["variation"])
    others = exposure.several or exposure.variation != known["variation"]
    return earlier or (others and not known["several"])


def _merged(exposure: Exposure) -> Document:
    variation = {"$literal": exposure.variation}
    is_earlier: Document = {
        "$or": [
            {"$eq": [{"$type": "$first_time"}, "missing"]},
            {"$lt": [exposure.first_time, "$first_time"]},
            {
                "$and": [
                    {"$eq": [exposure.first_time, "$first_time"]},
                    {"$lt": [variation, "$variation"]},
                ]
            },
        ]
    }

    def earliest(new: Any, field: str) -> Document:
        return {"$cond": [is_earlier, new, f"${field}"]}

    return {
        "first_time": earliest(exposure.first_time, "first_time"),
        "variation": earliest(variation, "variation"),
        "flag_revision": earliest({"$toLong": exposure.flag_revision}, "flag_revision"),
        "several": {
            "$or": [
                exposure.several,
                {"$ifNull": ["$several", False]},
                {"$ne": [{"$ifNull": ["$variation", variation]}, variation]},
            ]
        },
    }
