"""The end users that were served a variation, out of one index over the evaluations."""

from __future__ import annotations

from typing import Any, Final

from services.storage.model.pages import Page
from services.storage.model.reports import VariationOfFlag, VariationUser
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.paging import Order
from services.storage.mongodb.events.end_users import user_id
from services.storage.mongodb.events.rows import BY_VARIATION

ROWS: Final = 256
"""Evaluations that are read at once. A user who has more is passed with a look-up."""

_BY_USER: Final = Order(("user",), (str,))
_LAST_CHARACTER: Final = "\U0010ffff"


async def list_variation_users(
    connection: Connection,
    variation: VariationOfFlag,
    size: int,
    token: str,
    *,
    key_prefix: str,
) -> Page[VariationUser]:
    """As `ReportStore.list_variation_users`."""
    carried: Document = dict(zip(("environment", "flag", "variation"), variation, strict=True))
    (following,) = _BY_USER.after(token)
    last_times: dict[str, Any] = {}
    while len(last_times) <= size:
        rows = await _rows(connection, {"$and": [carried, following, _prefix(key_prefix)]})
        last_times.update((row["user"], row["last_time"]) for row in rows)
        if len(rows) < ROWS:
            break
        last = rows[-1]["user"]
        last_times[last] = await _last_time(connection, {**carried, "user": last}, rows[-1])
        following = {"user": {"$gt": last}}
    keys = list(last_times)[:size]
    names = await _names(connection, variation.environment_id, keys)
    users = tuple(VariationUser(key, names.get(key, ""), last_times[key]) for key in keys)
    more = len(last_times) > size
    return Page(users, _BY_USER.token({"user": keys[-1]}) if more else "")


def _prefix(key_prefix: str) -> Document:
    if not key_prefix:
        return {}
    return {"user": {"$gte": key_prefix, "$lt": key_prefix + _LAST_CHARACTER}}


async def _rows(connection: Connection, query: Document) -> list[Document]:
    shown = {"_id": 0, "user": 1, "last_time": 1}
    cursor = connection["flag_evaluations"].find(query, shown).hint(BY_VARIATION)
    return await cursor.sort([("user", 1), ("last_time", 1)]).limit(ROWS).to_list(ROWS)


async def _last_time(connection: Connection, query: Document, known: Document) -> Any:
    """Of the newest row, which is ``known`` if all have expired since."""
    shown = {"_id": 0, "last_time": 1}
    cursor = connection["flag_evaluations"].find(query, shown).hint(BY_VARIATION)
    newest = await cursor.sort("last_time", -1).limit(1).to_list(1)
    return (newest or [known])[0]["last_time"]


async def _names(connection: Connection, environment_id: str, keys: list[str]) -> dict[str, str]:
    query = {"_id": {"$in": [user_id(environment_id, key) for key in keys]}}
    cursor = connection["end_users"].find(query, {"key": 1, "name": 1})
    return {user["key"]: user.get("name", "") async for user in cursor}
