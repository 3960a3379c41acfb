"""What a user was served last, by a look-up for each variation that the user ever got.

The index over evaluations has the user behind flag and variation: it is the one that lists a
variation's users, and a second one by user would cost more than all else that a row costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from services.storage.model.end_users import LastServed
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.events.rows import BY_VARIATION

VARIATIONS_LOOKED_AT: Final = 200
"""Of one flag for one user, the last by name; a flag has at most 100."""

AT_ONCE: Final = 16
"""Look-ups under way, which leaves connections to others."""

MILLISECONDS: Final = 5_000
"""For one look-up: whoever makes variations up can only slow down their own flag."""

_NEWEST_OF_LAST_VARIATION: Final = [("variation", -1), ("last_time", -1)]


async def find_last_served(
    connection: Connection, environment_id: str, user_key: str, flag_keys: Sequence[str]
) -> dict[str, LastServed]:
    """As `EndUserStore.find_last_served`."""
    found: dict[str, LastServed] = {}
    for start in range(0, len(flag_keys), AT_ONCE):
        some = flag_keys[start : start + AT_ONCE]
        queries = [{"environment": environment_id, "flag": key, "user": user_key} for key in some]
        last = await asyncio.gather(*(_last_of_flag(connection, query) for query in queries))
        found.update((key, served) for key, served in zip(some, last, strict=True) if served)
    return found


async def _last_of_flag(connection: Connection, query: Document) -> LastServed | None:
    last: LastServed | None = None
    following: Document = {}
    for _ in range(VARIATIONS_LOOKED_AT):
        row = await _newest(connection, query | following)
        if row is None:
            break
        if last is None or row["last_time"] > last.time:
            last = LastServed(row["variation"], row["last_time"])
        following = {"variation": {"$lt": row["variation"]}}
    return last


async def _newest(connection: Connection, query: Document) -> Document | None:
    shown = {"_id": 0, "variation": 1, "last_time": 1}
    cursor = connection["flag_evaluations"].find(query, shown).hint(BY_VARIATION)
    cursor = cursor.sort(_NEWEST_OF_LAST_VARIATION).limit(1).max_time_ms(MILLISECONDS)
    found = await cursor.to_list(1)
    return found[0] if found else None
