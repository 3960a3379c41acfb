"""When flags were evaluated last, and whether they answered alike, by a few look-ups for each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.storage.model.reports import FlagUse
from services.storage.mongodb.driver.client import Connection, Document

Keys = list[tuple[str, int]]

_BY_VARIATION: Final = [(name, 1) for name in ("environment", "flag", "variation", "hour")]

VARIATIONS_LOOKED_AT: Final = 200
"""A flag has at most 100; one that SDKs report more of does not answer alike."""

AT_ONCE: Final = 16
"""Look-ups under way, which leaves connections to others."""


async def find_flag_use(
    connection: Connection, environment_id: str, flag_keys: Sequence[str], since: datetime
) -> dict[str, FlagUse]:
    """As `ReportStore.find_flag_use`."""
    found: dict[str, FlagUse] = {}
    for start in range(0, len(flag_keys), AT_ONCE):
        some = flag_keys[start : start + AT_ONCE]
        uses = await asyncio.gather(*(_use(connection, environment_id, key, since) for key in some))
        found.update((key, use) for key, use in zip(some, uses, strict=True) if use is not None)
    return found


async def _use(
    connection: Connection, environment_id: str, flag_key: str, since: datetime
) -> FlagUse | None:
    hours: Document = {"environment": environment_id, "flag": flag_key}
    last = await _first(connection, hours, [("hour", -1)])
    if last is None:
        return None
    alone = not await _served_another(connection, hours, last["variation"], since)
    return FlagUse(last["hour"], last["variation"], alone=alone)


async def _served_another(
    connection: Connection, hours: Document, variation: str, since: datetime
) -> bool:
    """Whether another variation was served: variation by variation, two look-ups for each."""
    following: Document = {}
    for _ in range(VARIATIONS_LOOKED_AT):
        query = hours | following
        other = await _first(connection, query, [("variation", 1)], _BY_VARIATION)
        if other is None:
            return False
        name = other["variation"]
        if name != variation:
            query = hours | {"variation": name}
            newest = await _first(connection, query, [("hour", -1)], _BY_VARIATION)
            if newest is not None and newest["hour"] >= since:
                return True
        following = {"variation": {"$gt": name}}
    return True


async def _first(
    connection: Connection, query: Document, order: Keys, index: Keys | None = None
) -> Document | None:
    shown = {"_id": 0, "hour": 1, "variation": 1}
    cursor = connection["flag_hours"].find(query, shown).sort(order).limit(1)
    found = await (cursor.hint(index) if index else cursor).to_list(1)
    return found[0] if found else None
