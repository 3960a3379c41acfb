"""A database of version 3 has hours of flags and no days."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from services.storage.model import sketches
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.migrations import SCHEMA_VERSION, migrate
from tests.integration.storage.test_stored_form import all_of, batch, database, evaluation
from tests.support.resources import Environment

__all__ = ["database"]

DAY = timedelta(days=1)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def hour(environment: Environment, at: datetime, *users: str, part: int = 0) -> Document:
    """As version 3 stored it."""
    fields = {"environment": environment.id, "flag": "f", "variation": "on", "hour": at}
    counted = {"evaluations": len(users), "users": sketches.extended(None, users)}
    return {"_id": {**fields, "part": part}, **fields, "part": part, **counted}


async def days_of(database: Connection) -> list[tuple[datetime, int, int, int]]:
    return sorted(
        (day["day"], day["part"], day["evaluations"], sketches.estimate(day["users"]))
        for day in await all_of(database, "flag_days")
    )


async def back_to_version_3(database: Connection) -> None:
    await database["schema"].update_one({"_id": "schema"}, {"$set": {"version": 3}})


async def test_hours_of_version_3_become_days_once(
    store: MongoStore, database: Connection, environment: Environment
) -> None:
    await back_to_version_3(database)
    await database["flag_hours"].create_index(["environment", "flag", "hour"])
    later = timedelta(hours=3)
    old: Document = {  # from version 2
        "environment": environment.id, "flag": "g", "variation": "on", "hour": NOON,
        "evaluations": 5,
    }  # fmt: skip
    await database["flag_hours"].insert_many(
        [
            hour(environment, NOON, "ada", "bob"),
            hour(environment, NOON, "bob", part=1),
            hour(environment, NOON + later, "ada"),
            hour(environment, NOON + 100 * DAY, "eve"),
            old,
        ]
    )
    midnight = NOON.replace(hour=0)
    folded = [(midnight, -1, 4, 2), (midnight, -1, 5, 0), (midnight + 100 * DAY, -1, 1, 1)]
    await migrate(database)
    assert await days_of(database) == folded
    assert "environment_1_flag_1_hour_1" not in await database["flag_hours"].index_information()

    await store.insights.store_insights([batch(environment, "1", evaluation("zoe", at=NOON))])
    await migrate(database)
    new = (midnight, 0, 1, 1)
    assert await days_of(database) == sorted([*folded, new])


async def test_of_several_processes_that_start_at_once_none_folds_what_another_stores(
    store: MongoStore, database: Connection, environment: Environment
) -> None:
    await back_to_version_3(database)
    hours = [hour(environment, NOON + n * 40 * DAY, f"u{n}") for n in range(20)]
    await database["flag_hours"].insert_many(hours)

    async def start(name: str) -> None:
        await migrate(database)
        at = NOON + 2_000 * DAY  # after all others: folded last, if it were
        await store.insights.store_insights([batch(environment, name, evaluation(name, at=at))])

    await asyncio.gather(*(start(name) for name in ("a", "b", "c")))
    days = await days_of(database)
    assert [part for _, part, _, _ in days[:20]] == [-1] * 20
    assert sum(evaluations for _, _, evaluations, _ in days) == 23


async def test_a_process_that_was_stopped_while_it_folded_begins_again(
    store: MongoStore, database: Connection, environment: Environment
) -> None:
    for part, more in enumerate(("ada", "bob")):  # which a process of version 3 stores meanwhile
        await back_to_version_3(database)
        await database["flag_hours"].insert_one(hour(environment, NOON, more, part=part))
        await migrate(database)
    assert await days_of(database) == [(NOON.replace(hour=0), -1, 2, 2)]
    recorded = await database["schema"].find_one({"_id": "schema"})
    assert recorded is not None
    assert recorded["version"] == SCHEMA_VERSION
