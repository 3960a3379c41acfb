"""From version 3 to 4: days of flags out of the hours that were stored without them.

They are a part of their own, beside those that transactions of version 4 write. None of those
begins before this is done and recorded, and nothing is folded after that: no hour counts twice.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from bson.int64 import Int64

from services.storage.model import sketches
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.commands import CHUNK, update_many
from services.storage.mongodb.driver.transactions import Session
from services.storage.mongodb.events.roll_ups import DAYS

PART: Final = -1
"""Of days that came out of hours."""

VERSION: Final = 4
"""The first one that writes days."""

SPAN: Final = timedelta(days=31)
"""Of one flag in one transaction."""


async def fold_hours_into_days(connection: Connection) -> None:
    """May be repeated until the new version is recorded, and by several processes at once."""
    recorded = await connection["schema"].find_one({"_id": "schema"})
    if recorded is None or recorded["version"] >= VERSION:
        return
    flags = [{"$group": {"_id": {"environment": "$environment", "flag": "$flag"}}}]
    async for each in connection["flag_hours"].aggregate(flags, allowDiskUse=True):
        await _fold_flag(connection, each["_id"])


async def _fold_flag(connection: Connection, flag: Document) -> None:
    start = await _first_day(connection, flag)
    while start is not None:
        end = start + SPAN
        fold = partial(_fold, connection, flag, (start, end))
        if not await connection.transactions.run(fold):
            return
        start = await _first_day(connection, {**flag, "hour": {"$gte": end}})


async def _first_day(connection: Connection, query: Document) -> datetime | None:
    found = (
        await connection["flag_hours"].find(query, {"hour": 1}).sort("hour", 1).limit(1).to_list(1)
    )
    return _day_of(found[0]["hour"]) if found else None


async def _fold(
    connection: Connection, flag: Document, span: tuple[datetime, datetime], session: Session
) -> bool:
    """False when another process has recorded the version: that write and this one meet."""
    older = {"_id": "schema", "version": {"$lt": VERSION}}
    step = {"$inc": {"folded": 1}}
    held = await connection["schema"].update_one(older, step, session=session)
    if not held.matched_count:
        return False
    hours: dict[tuple[str, datetime], list[Document]] = defaultdict(list)
    query = {**flag, "hour": {"$gte": span[0], "$lt": span[1]}}
    async for hour in connection["flag_hours"].find(query, session=session):
        hours[hour["variation"], _day_of(hour["hour"])].append(hour)
    statements = [
        _statement(
            {**flag, "variation": variation, "day": day, "part": PART}, hours[variation, day]
        )
        for variation, day in sorted(hours)
    ]
    for first in range(0, len(statements), CHUNK):
        chunk = statements[first : first + CHUNK]
        await update_many(connection, DAYS.collection, chunk, session=session)
    return True


def _statement(identity: Document, hours: list[Document]) -> Document:
    evaluations = sum(hour["evaluations"] for hour in hours)
    # An hour from before the sketches has none.
    users = sketches.merged(hour["users"] for hour in hours if hour.get("users"))
    counted = {"evaluations": Int64(evaluations), "users": users}
    return {"q": {"_id": identity}, "u": {"$set": {**identity, **counted}}, "upsert": True}


def _day_of(hour: datetime) -> datetime:
    return hour.replace(hour=0, minute=0, second=0, microsecond=0)
