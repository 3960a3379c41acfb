from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from featmesh.engine.model import Context
from services.runtime.errors import NotFound
from services.storage.model.changes import WriteOptions
from services.storage.model.events import EvaluationEvent, InsightBatch, MetricEvent, MetricKind
from services.storage.model.progress import StreamProgress
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, Document, utc_now
from services.storage.mongodb.migrations import INDEXES
from services.storage.mongodb.resources.removals import (
    BY_FIELD,
    BY_ID,
    BY_SCOPE,
    ENVIRONMENTS,
    LATE,
)
from tests.integration.storage.clock import Clock
from tests.integration.storage.records import NOON, change, create, flag, segment
from tests.support.observations import see_users
from tests.support.resources import (
    Environment,
    delete_environment,
    make_environment,
    make_sdk_key,
    read_environment,
)

DAY = timedelta(days=1)
NOT_OF_ENVIRONMENTS = {
    "organizations",
    "projects",
    "environments",
    "removed_environments",
    "access_tokens",
    "tags",
    "audit_log",
    "leases",
    "evaluation_processes",
}


@pytest.fixture
async def database(
    mongodb_uri: str, database_name: str, store: MongoStore
) -> AsyncIterator[Connection]:
    connection = Connection(mongodb_uri, database_name, utc_now)
    yield connection
    await connection.close()


async def new_key(store: MongoStore, environment_id: str, secret_hash: str = "h") -> None:
    await make_sdk_key(store, environment_id, secret_hash)


async def filled(store: MongoStore, environment_id: str, flags: int = 3) -> None:
    """Something in every collection that holds an environment's data."""
    await new_key(store, environment_id, f"hash of {environment_id}")
    writes = create(*(flag(f"f{n}") for n in range(flags)), segment("s-1", "vip"))
    await store.resources.commit(change(environment_id, *writes, options=WriteOptions("r-1")))
    await see_users(store, environment_id, [Context("ada", "Ada", {"plan": "pro"})], NOON)
    await store.insights.store_insights([batch(environment_id)])
    await store.progress.write_progress("process-1", [StreamProgress(environment_id, 1, ())], [])


def batch(environment_id: str) -> InsightBatch:
    now = round(datetime.now(UTC).timestamp() * 1000)
    evaluation = EvaluationEvent("f0", "on", "ada", 1, True, 1, now, now)
    metric = MetricEvent("order", "ada", 1.0, MetricKind.CUSTOM, now)
    return InsightBatch(environment_id, "b-1", now, (evaluation,), (metric,))


async def held(database: Connection, environment_id: str) -> dict[str, int]:
    """How many documents of an environment there are, by collection, where there are any."""
    fields: list[Document] = [{"environment": environment_id}, {"scope": environment_id}]
    by_id = {"_id": {"$regex": f"^{environment_id}"}}
    counts = {
        collection: await database[collection].count_documents(
            {"$or": fields if collection in BY_SCOPE else [*fields, by_id]}
        )
        # Entries and versions of the environment itself stay, in its project's history.
        for collection in INDEXES.keys() - {"audit_log"}
    }
    return {collection: count for collection, count in counts.items() if count}


def test_every_collection_is_known_to_the_removal_of_environments() -> None:
    assert {*BY_FIELD, *BY_SCOPE, *BY_ID} == INDEXES.keys() - NOT_OF_ENVIRONMENTS


async def test_a_deleted_environment_is_gone_at_once_with_its_keys(
    store: MongoStore, environment: Environment
) -> None:
    await new_key(store, environment.id, "hash-1")
    await delete_environment(store, environment.id)

    assert await store.credentials.find_sdk_key("hash-1") is None
    assert await store.definitions.read_heads([environment.id]) == {}
    for call in (
        read_environment(store, environment.id),
        delete_environment(store, environment.id),
        store.definitions.read_definitions(environment.id),
        store.resources.commit(change(environment.id, *create(flag("a")))),
        new_key(store, environment.id, "hash-2"),
    ):
        with pytest.raises(NotFound):
            await call
    again = await make_environment(store, environment.project_id, environment.key)
    assert again.id != environment.id


async def test_a_key_that_is_made_while_its_environment_is_deleted_does_not_outlive_it(
    store: MongoStore, environment: Environment, database: Connection
) -> None:
    keys = (new_key(store, environment.id, f"hash-{n}") for n in range(12))
    await asyncio.gather(*keys, delete_environment(store, environment.id), return_exceptions=True)
    assert await database["sdk_keys"].count_documents({}) == 0


async def test_all_data_of_a_deleted_environment_is_removed_and_no_other(
    store: MongoStore, environment: Environment, database: Connection
) -> None:
    other = await make_environment(store, environment.project_id, "staging")
    await filled(store, environment.id)
    await filled(store, other.id)
    assert held_data(await held(database, environment.id)) == {*BY_FIELD, *BY_SCOPE, *BY_ID}
    kept = await held(database, other.id)

    await delete_environment(store, environment.id)
    removed = await store.maintenance.remove_deleted(1_000)

    assert removed > 0
    assert set(await held(database, environment.id)) == {"removed_environments"}
    assert await held(database, other.id) == kept


def held_data(counts: dict[str, int]) -> set[str]:
    return set(counts) - NOT_OF_ENVIRONMENTS


async def test_a_removal_goes_on_in_bounded_steps_in_whichever_process(
    mongodb_uri: str,
    database_name: str,
    store: MongoStore,
    environment: Environment,
    database: Connection,
) -> None:
    await filled(store, environment.id, flags=10)
    await delete_environment(store, environment.id)
    before = sum((await held(database, environment.id)).values())

    assert await store.maintenance.remove_deleted(4) == 4
    assert sum((await held(database, environment.id)).values()) == before - 4
    other = MongoStore.open(mongodb_uri, database=database_name)
    while await other.maintenance.remove_deleted(4):
        pass
    await other.close()
    assert set(await held(database, environment.id)) == {"removed_environments"}


async def test_a_newly_deleted_environment_has_its_turn_before_those_found_empty(
    store: MongoStore, environment: Environment, database: Connection
) -> None:
    for number in range(ENVIRONMENTS):
        made = await make_environment(store, environment.project_id, f"e{number}")
        await delete_environment(store, made.id)
    assert await store.maintenance.remove_deleted(100) == 0
    await filled(store, environment.id)
    await delete_environment(store, environment.id)
    assert await store.maintenance.remove_deleted(100) > 0
    assert set(await held(database, environment.id)) == {"removed_environments"}


async def test_what_comes_in_late_is_removed_too_until_nothing_can_come_any_more(
    moved: MongoStore, environment: Environment, database: Connection, clock: Clock
) -> None:
    await delete_environment(moved, environment.id)
    assert await moved.maintenance.remove_deleted(100) == 0
    await moved.insights.store_insights([batch(environment.id)])
    late = len(await held(database, environment.id)) - len({"removed_environments"})
    assert await moved.maintenance.remove_deleted(100) == late > 0
    assert set(await held(database, environment.id)) == {"removed_environments"}

    clock.time += LATE + DAY
    assert await moved.maintenance.remove_deleted(100) == 0
    assert await held(database, environment.id) == {}
