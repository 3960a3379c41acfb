"""When flags were evaluated last, and whether they answered alike: two look-ups for each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.storage.model import FlagUse
from services.storage.mongodb.connection import Connection, Document

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
    hours = connection["flag_hours"]
    query: Document = {"environment": environment_id, "flag": flag_key}
    shown = {"_id": 0, "hour": 1, "variation": 1}
    newest = await hours.find(query, shown).sort("hour", -1).limit(1).to_list(1)
    if not newest:
        return None
    last = newest[0]
    query |= {"hour": {"$gte": since}, "variation": {"$ne": last["variation"]}}
    other = await hours.find_one(query, shown)
    return FlagUse(last["hour"], last["variation"], alone=other is None)
