"""Collections and indexes of this version, as data, and how a database gets there."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError, OperationFailure

from services.storage.model.kinds import KINDS
from services.storage.model.tenancy import DEFAULT_RETENTION_DAYS
from services.storage.mongodb.driver.client import Connection
from services.storage.mongodb.events.first_seen_days import fold_hours_into_days
from services.storage.mongodb.resources.codecs import scope_field
from services.storage.mongodb.resources.epochs import give_epochs, renew_if_moved
from services.storage.mongodb.resources.upgrade import upgrade_resources
from services.storage.ports.progress import PROGRESS_SECONDS

SCHEMA_VERSION = 5

REQUEST_SECONDS = 24 * 3600
BATCH_SECONDS = 7 * 24 * 3600
PROCESS_FORGOTTEN_SECONDS = 60


def _index(*fields: str, **options: Any) -> IndexModel:
    """An index over fields; a leading minus makes one descending."""
    keys = [
        (field.removeprefix("-"), DESCENDING if field.startswith("-") else ASCENDING)
        for field in fields
    ]
    return IndexModel(keys, **options)


TOMBSTONES = _index("revision", partialFilterExpression={"deleted": True})
"""Of all environments by age; it holds nothing that is alive."""

LIST_ORDERS = tuple(
    _index("environment", field, "_id") for field in ("display_name", "created_at", "updated_at")
)
"""What lists of flags and segments may be sorted by beside their key."""

WITH_COPIES = _index("environment", partialFilterExpression={"before": {"$exists": True}})
"""Audit entries of versions before 5, which go when their environment is removed."""

EXPIRY = _index("expires_at", expireAfterSeconds=0)
"""A document is removed when its own time has come."""

INDEXES: dict[str, list[IndexModel]] = {
    "organizations": [_index("key", unique=True), _index("path")],
    "projects": [_index("organization", "key", unique=True), _index("path")],
    "environments": [_index("project", "key", unique=True), _index("path")],
    "removed_environments": [_index("looked_at")],
    "leases": [_index("until")],
    "sdk_keys": [_index("hash", unique=True), _index("environment", "created_at", "_id")],
    "access_tokens": [_index("hash", unique=True), _index("organization", "created_at", "_id")],
    "flags": [
        _index("environment", "key", unique=True),
        _index("environment", "revision"),
        _index("environment", "tags"),
        *LIST_ORDERS,
        TOMBSTONES,
    ],
    "segments": [
        # A deleted segment keeps its tombstone under its id and frees its key.
        _index("environment", "key", unique=True, partialFilterExpression={"deleted": False}),
        _index("environment", "revision"),
        _index("environment", "tags"),
        *LIST_ORDERS,
        TOMBSTONES,
    ],
    # Environment, kind, item and version are its `_id`, so unique without another index.
    "item_history": [
        _index("environment", "revision", "position", unique=True),
        _index("environment", "kind", "item", "version"),
        _index("environment", "kind", "key", "revision", "position"),
    ],
    "resource_history": [
        _index("scope", "kind", "item", "version"),
        _index("scope", "kind", "key", "time", "version"),
    ],
    "audit_log": [
        _index("-sequence", "-position", "-_id"),
        _index("organization", "-sequence", "-position", "-_id"),
        _index("project", "-sequence", "-position", "-_id"),
        _index("environment", "-sequence", "-position", "-_id"),
        _index("path", "-sequence", "-position", "-_id"),
        WITH_COPIES,
    ],
    "outbox": [_index("revision", "_id"), _index("environment")],
    "requests": [_index("created_at", expireAfterSeconds=REQUEST_SECONDS)],
    "end_users": [
        _index("environment", "key", unique=True),
        _index("environment", "folded_name", "key"),
        _index("environment", "attributes.name", "attributes.value", "key"),
    ],
    "user_properties": [_index("environment", "name", unique=True)],
    "insight_batches": [_index("received_at", expireAfterSeconds=BATCH_SECONDS)],
    "flag_evaluations": [
        _index("environment", "flag", "variation", "user", "last_time"),
        EXPIRY,
    ],
    "metric_events": [
        _index("environment", "name", "time"),
        _index("environment", "user", "time"),
        EXPIRY,
    ],
    # Environment, flag, variation, start and part of a bucket are its `_id`.
    "flag_minutes": [_index("environment", "flag", "minute"), EXPIRY],
    "flag_hours": [
        # Counts without users are read from the index alone: sketches are large.
        _index("environment", "flag", "hour", "variation", "evaluations"),
        _index("environment", "flag", "variation", "hour"),
    ],
    "flag_days": [_index("environment", "flag", "day", "variation", "evaluations")],
    "environment_days": [_index("environment", "day")],
    "experiment_exposures": [_index("environment", "flag", "user", unique=True)],
    "evaluation_processes": [_index("seen_at", expireAfterSeconds=PROCESS_FORGOTTEN_SECONDS)],
    "stream_progress": [
        _index("environment", "process"),
        _index("process"),
        _index("written_at", expireAfterSeconds=PROGRESS_SECONDS),
    ],
}


for _kind in KINDS.values():  # a kind that needs no more has its key, unique in its scope
    INDEXES.setdefault(_kind.collection, [_index(scope_field(_kind), "key", unique=True)])

OLD_INDEXES = (
    ("flag_evaluations", "received_at_1"),
    ("flag_evaluations", "environment_1_flag_1_last_time_1"),
    ("flag_evaluations", "environment_1_user_1_last_time_1"),
    ("metric_events", "received_at_1"),
    ("flag_hours", "environment_1_flag_1_hour_1_variation_1"),
    ("flag_hours", "environment_1_flag_1_hour_1"),
    ("end_users", "environment_1_name_1"),
    ("item_history", "environment_1_kind_1_document.key_1_revision_1_position_1"),
    ("audit_log", "environment_1_revision_-1_position_-1"),
    ("audit_log", "environment_1_resource_1_revision_-1_position_-1"),
)
"""Of earlier versions, which this one does without."""


async def migrate(connection: Connection) -> None:
    """Make what is missing. Every step may run again, and in several processes at once."""
    # Makes the collections too: a transaction or a snapshot then never meets a new one.
    steps = [
        connection[collection].create_indexes(indexes) for collection, indexes in INDEXES.items()
    ]
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
    await _from_version_2(connection)
    await _fold_names(connection)
    await fold_hours_into_days(connection)
    await upgrade_resources(connection)
    await renew_if_moved(connection, ask_cluster=True)
    await give_epochs(connection)
    await _record_version(connection)


async def _from_version_2(connection: Connection) -> None:
    """Events had one retention for all, and a bucket one document."""
    for collection in ("flag_evaluations", "metric_events"):
        kept = {"$add": ["$received_at", DEFAULT_RETENTION_DAYS * 24 * 3_600 * 1_000]}
        await connection[collection].update_many(
            {"expires_at": None, "received_at": {"$type": "date"}},
            [{"$set": {"expires_at": kept}}, {"$unset": "received_at"}],
        )
    for collection, index in OLD_INDEXES:
        with suppress(OperationFailure):  # it is gone already
            await connection[collection].drop_index(index)


async def _fold_names(connection: Connection) -> None:
    """Since version 3 names are searched for in whichever capitals.

    Those that were stored before are folded in ASCII alone until they are seen again.
    """
    recorded = await connection["schema"].find_one({"_id": "schema"})
    if recorded is None or recorded["version"] >= 3:
        return
    unfolded = {"name": {"$exists": True}, "folded_name": {"$exists": False}}
    fold = [{"$set": {"folded_name": {"$toLower": "$name"}}}]
    await connection["end_users"].update_many(unfolded, fold)


async def _record_version(connection: Connection) -> None:
    update = {"$max": {"version": SCHEMA_VERSION}}
    try:
        await connection["schema"].update_one({"_id": "schema"}, update, upsert=True)
    except DuplicateKeyError:  # another process was the first, a moment ago
        await connection["schema"].update_one({"_id": "schema"}, update)
