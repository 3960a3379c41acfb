"""How long events of each environment are kept."""

from __future__ import annotations

import time
from collections.abc import Iterable, Set
from typing import Final

from services.storage.model.tenancy import DEFAULT_RETENTION_DAYS
from services.storage.mongodb.driver.client import Connection

RETENTION_FIELD: Final = "event_retention_days"
"""Of a document in `environments`."""

REMEMBERED_SECONDS: Final = 30.0
"""How late a changed retention takes effect at the most."""

REMEMBERED: Final = 10_000
"""Environments; then all are read anew."""

_DAY_MS: Final = 24 * 3_600 * 1_000


class Retentions:
    """Remembers for a while what the environments say."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, tuple[int, float]] = {}

    async def read(self, environment_ids: Iterable[str]) -> dict[str, int]:
        """Milliseconds for each of these; an environment that is gone has the default."""
        wanted, now = set(environment_ids), time.monotonic()
        fresh = {
            one: known[0]
            for one in wanted
            if (known := self._known.get(one)) and now - known[1] < REMEMBERED_SECONDS
        }
        missing = wanted - fresh.keys()
        return fresh | (await self._learn(missing, now) if missing else {})

    async def _learn(self, environment_ids: Set[str], now: float) -> dict[str, int]:
        cursor = self._connection["environments"].find(
            {"_id": {"$in": list(environment_ids)}}, {RETENTION_FIELD: 1}
        )
        days = {
            one["_id"]: one.get(RETENTION_FIELD, DEFAULT_RETENTION_DAYS) async for one in cursor
        }
        learnt = {one: days.get(one, DEFAULT_RETENTION_DAYS) * _DAY_MS for one in environment_ids}
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._known |= {one: (kept_ms, now) for one, kept_ms in learnt.items()}
        return learnt
