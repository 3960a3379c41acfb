from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from featmesh.engine.model import Context
from services.runtime.errors import NotFound
from services.storage.model.changes import Request
from services.storage.model.credentials import SdkKey, SdkKeyKind
from services.storage.model.events import EvaluationEvent, InsightBatch, MetricEvent, MetricKind
from services.storage.model.progress import StreamProgress
from services.storage.model.tenancy import Environment
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, utc_now
from services.storage.mongodb.migrations import INDEXES
from services.storage.mongodb.resources.removals import BY_FIELD, BY_ID, ENVIRONMENTS, LATE
from tests.integration.storage.clock import Clock
from tests.integration.storage.records import NOON, change, create, flag, segment
from tests.support.observations import see_users

DAY = timedelta(days=1)
NOT_OF_ENVIRONMENTS = {
    "organizations",
    "projects",
    "environments",
    "removed_environments",
    "access_tokens",
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


async def new_key(store: MongoStore, environment_id: str, secret_hash: str = "h") -> SdkKey:
    return await store.credentials.create_sdk_key(
        environment_id, SdkKeyKind.SERVER, "Key", secret_hash=secret_hash, last_characters="wxyz"
    )


async def filled(store: MongoStore, environment_id: str, flags: int = 3) -> None:
    """Something in every collection that holds an environment's data."""
    await new_key(store, environment_id, f"hash of {environment_id}")
    writes = create(*(flag(f"f{n}") for n in range(flags)), segment("s-1", "vip"))
    await store.items.commit(change(environment_id, *writes, request=Request("r-1")))
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
    counts = {
        collection: await database[collection].count_documents(
            {"$or": [{"environment": environment_id}, {"_id": {"$regex": f"^{environment_id}"}}]}
        )
        for collection in INDEXES
    }
    return {collection: count for collection, count in counts.items() if count}


def test_every_collection_is_known_to_the_removal_of_environments() -> None:
    assert {*BY_FIELD, *BY_ID} == INDEXES.keys() - NOT_OF_ENVIRONMENTS


async def test_a_deleted_environment_is_gone_at_once_with_its_keys(
    store: MongoStore, environment: Environment
) -> None:
    await new_key(store, environment.id, "hash-1")
    await store.tenancy.delete_environment(environment.id)

    assert await store.credentials.find_sdk_key("hash-1") is None
    assert await store.definitions.read_heads([environment.id]) == {}
    for call in (
        store.tenancy.get_environment(environment.id),
        store.tenancy.delete_environment(environment.id),
        store.definitions.read_definitions(environment.id),
        store.items.commit(change(environment.id, *create(flag("a")))),
        new_key(store, environment.id, "hash-2"),
    ):
        with pytest.raises(NotFound):
            await call
    again = await store.tenancy.create_environment(environment.project_id, environment.key, "New")
    assert again.id != environment.id


async def test_a_key_that_is_made_while_its_environment_is_deleted_does_not_outlive_it(
    store: MongoStore, environment: Environment, database: Connection
) -> None:
    keys = (new_key(store, environment.id, f"hash-{n}") for n in range(12))
    await asyncio.gather(
        *keys, store.tenancy.delete_environment(environment.id), return_exceptions=True
    )
    assert await database["sdk_keys"].count_documents({}) == 0


async def test_all_data_of_a_deleted_environment_is_removed_and_no_other(
    store: MongoStore, environment: Environment, database: Connection
) -> None:
    other = await store.tenancy.create_environment(environment.project_id, "staging", "Staging")
    await filled(store, environment.id)
    await filled(store, other.id)
    assert held_data(await held(database, environment.id)) == {*BY_FIELD, *BY_ID}
    kept = await held(database, other.id)

    await store.tenancy.delete_environment(environment.id)
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
    await store.tenancy.delete_environment(environment.id)
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
        made = await store.tenancy.create_environment(environment.project_id, f"e{number}", "E")
        await store.tenancy.delete_environment(made.id)
    assert await store.maintenance.remove_deleted(100) == 0
    await filled(store, environment.id)
    await store.tenancy.delete_environment(environment.id)
    assert await store.maintenance.remove_deleted(100) > 0
    assert set(await held(database, environment.id)) == {"removed_environments"}


async def test_what_comes_in_late_is_removed_too_until_nothing_can_come_any_more(
    moved: MongoStore, environment: Environment, database: Connection, clock: Clock
) -> None:
    await moved.tenancy.delete_environment(environment.id)
    assert await moved.maintenance.remove_deleted(100) == 0
    await moved.insights.store_insights([batch(environment.id)])
    late = len(await held(database, environment.id)) - len({"removed_environments"})
    assert await moved.maintenance.remove_deleted(100) == late > 0
    assert set(await held(database, environment.id)) == {"removed_environments"}

    clock.time += LATE + DAY
    assert await moved.maintenance.remove_deleted(100) == 0
    assert await held(database, environment.id) == {}
