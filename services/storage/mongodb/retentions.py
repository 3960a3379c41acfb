"""How long events of each environment are kept."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from services.storage.model.tenancy import DEFAULT_RETENTION_DAYS
from services.storage.mongodb.connection import Connection

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
        missing = [one for one in wanted if not self._is_fresh(one, now)]
        if missing:
            await self._learn(missing, now)
        return {one: self._known[one][0] for one in wanted}

    def _is_fresh(self, environment_id: str, now: float) -> bool:
        known = self._known.get(environment_id)
        return known is not None and now - known[1] < REMEMBERED_SECONDS

    async def _learn(self, environment_ids: list[str], now: float) -> None:
        cursor = self._connection["environments"].find(
            {"_id": {"$in": environment_ids}}, {RETENTION_FIELD: 1}
        )
        days = {
            one["_id"]: one.get(RETENTION_FIELD, DEFAULT_RETENTION_DAYS) async for one in cursor
        }
        if len(self._known) > REMEMBERED:
            self._known = {one: known for one, known in self._known.items() if known[1] == now}
        for one in environment_ids:
            self._known[one] = (days.get(one, DEFAULT_RETENTION_DAYS) * _DAY_MS, now)
