"""Epochs: the names of environments' histories, which change when the store may have gone back.

A file-level copy of the data goes back unseen: replicas find out (`renew_epoch`), or its operator
says so (`renew_all`). A restored dump has new collections, which is seen here (`renew_if_moved`).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from pymongo.errors import DuplicateKeyError, OperationFailure

from services.storage.mongodb.driver.client import Connection, Document

log = logging.getLogger(__name__)

_PLACE: Final = {"_id": "place"}
"""The document in ``schema`` that says where the data was written."""

_PLACED: Final = ("environments", "flags", "segments", "item_history")
"""Collections whose identity a dump does not carry."""


def new_epoch() -> bytes:
    """16 random bytes."""
    return uuid4().bytes


async def renew_epoch(connection: Connection, environment_id: str, known: bytes) -> None:
    """Of many processes that know the same epoch, one renews it."""
    query = {"_id": environment_id, "epoch": known or None}
    await connection["environments"].update_one(query, {"$set": {"epoch": new_epoch()}})


async def renew_all(connection: Connection) -> int:
    """The same new one for all, since epochs of two environments are never compared."""
    renewed = await connection["environments"].update_many({}, {"$set": {"epoch": new_epoch()}})
    return int(renewed.matched_count)


async def give_epochs(connection: Connection) -> None:
    """To environments that were made before schema version 5."""
    without = {"epoch": {"$exists": False}}
    await connection["environments"].update_many(without, {"$set": {"epoch": new_epoch()}})


async def renew_if_moved(connection: Connection, *, ask_cluster: bool = False) -> None:
    """Renews all epochs if the data is not where it was written, and remembers where it is.

    Renewed first: a process that dies in between leaves it to the next one. ``ask_cluster``
    compares the replica set too, for which not every user has the right.
    """
    known: Document = await connection["schema"].find_one(_PLACE) or {}
    place: Document = {"collections": await _collection_ids(connection)}
    if ask_cluster and (cluster := await _cluster_id(connection)) is not None:
        place["cluster"] = cluster
    if all(known.get(part) == identity for part, identity in place.items()):
        return
    if _differs(known, place) and (renewed := await _renew_those_with_epochs(connection)):
        text = "the database was restored or moved: %d environments have a new epoch"
        log.warning(text, renewed)
    with suppress(DuplicateKeyError):  # another process was the first, a moment ago
        await connection["schema"].update_one(_PLACE, {"$set": place}, upsert=True)


def _differs(known: Document, place: Document) -> bool:
    """Whether one part is another one; a cluster that was never asked for tells nothing."""
    is_new_cluster = known.get("cluster", place.get("cluster")) != place.get("cluster")
    return known.get("collections") != place["collections"] or (
        "cluster" in place and is_new_cluster
    )


async def _renew_those_with_epochs(connection: Connection) -> int:
    """A place is unknown at the first start, too: then there are none."""
    if await connection["environments"].find_one({"epoch": {"$exists": True}}) is None:
        return 0
    return await renew_all(connection)


async def _collection_ids(connection: Connection) -> dict[str, Any]:
    """By name; every member of a replica set has the same."""
    answer = await connection.database.command(
        {"listCollections": 1, "filter": {"name": {"$in": list(_PLACED)}}}
    )
    found = {each["name"]: each["info"]["uuid"] for each in answer["cursor"]["firstBatch"]}
    return {name: found[name] for name in sorted(found)}


async def _cluster_id(connection: Connection) -> Any:
    """The replica set's; None if the user may not ask, or if it has none."""
    try:
        answer = await connection.client.admin.command("replSetGetConfig")
    except OperationFailure:
        return None
    return answer["config"].get("settings", {}).get("replicaSetId")
