"""Background work of `api`: by any replica, by one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from featmesh.engine.model import Context
from featmesh.management.v1 import environment_service_pb2, flag_service_pb2, sdk_key_service_pb2
from services.api.jobs.maintenance import LEASE, Maintenance
from services.messaging.inprocess import InProcessBus
from services.runtime.secrets import hash_secret
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, utc_now
from services.storage.mongodb.resources.removals import BY_FIELD
from tests.integration.api.test_start import until_logged
from tests.integration.storage.records import NOON, change, create, delete, flag
from tests.support.api import SERVING, ApiClient, flag_resource, running_api
from tests.support.fail_points import OUT_OF_DISK_SPACE, failing, refused_uri
from tests.support.messaging import soon
from tests.support.observations import see_users
from tests.support.ports import free_address
from tests.support.resources import (
    Environment,
    delete_environment,
    make_environment,
    make_organization,
    make_project,
)

RETENTION = timedelta(days=30)

Left = Callable[[str], Awaitable[int]]


@pytest.fixture
def left(mongodb_uri: str, database_name: str) -> Left:
    """How many documents an environment has."""

    async def count(environment_id: str) -> int:
        connection = Connection(mongodb_uri, database_name, utc_now)
        query = {"environment": environment_id}
        counts = [await connection[each].count_documents(query) for each in BY_FIELD]
        await connection.close()
        return sum(counts)

    return count


async def fill(store: MongoStore, environment_id: str) -> None:
    flags = (flag(f"f{number}") for number in range(20))
    await store.resources.commit(change(environment_id, *create(*flags)))
    await see_users(store, environment_id, [Context("ada")], NOON)


async def test_a_deleted_environment_is_not_found_and_its_data_goes(
    api: ApiClient, store: MongoStore, environment: Environment, left: Left
) -> None:
    await fill(store, environment.id)
    request = sdk_key_service_pb2.CreateSdkKeyRequest(
        parent=environment.name,
        sdk_key=sdk_key_service_pb2.SdkKey(
            kind=sdk_key_service_pb2.SDK_KEY_KIND_SERVER, display_name="Key"
        ),
    )
    secret = (await api.call(api.sdk_keys.CreateSdkKey, request)).secret

    delete_it = environment_service_pb2.DeleteEnvironmentRequest(name=environment.name)
    await api.call(api.environments.DeleteEnvironment, delete_it)

    assert await store.credentials.find_sdk_key(hash_secret(secret)) is None
    create_flag = flag_service_pb2.CreateFlagRequest(
        parent=environment.name, resource=flag_resource("f")
    )
    for method, call in (
        (api.environments.DeleteEnvironment, delete_it),
        (api.flags.CreateFlag, create_flag),
        (api.sdk_keys.CreateSdkKey, request),
    ):
        assert (await api.refused(method, call)).code() == grpc.StatusCode.NOT_FOUND
    await soon(lambda: is_zero(left(environment.id)))


async def is_zero(count: Awaitable[int]) -> bool:
    return await count == 0


async def test_a_removal_that_its_replica_did_not_live_to_finish_is_finished_by_another(
    bus: InProcessBus, store: MongoStore, environment: Environment, left: Left
) -> None:
    await fill(store, environment.id)
    await delete_environment(store, environment.id)
    assert await store.maintenance.remove_deleted(5) == 5
    async with running_api(store, bus) as client:
        await client.health(SERVING)
        await soon(lambda: is_zero(left(environment.id)))


async def test_one_replica_works_at_a_time_and_the_other_takes_over_when_it_stops(
    store: MongoStore, environment: Environment, left: Left
) -> None:
    first, second = (Maintenance(store.maintenance, RETENTION) for _ in range(2))
    assert not await first.step(), "nothing to do, but it has the lease now"
    await fill(store, environment.id)
    await delete_environment(store, environment.id)

    assert not await second.step()
    assert await left(environment.id) > 0
    await first.release()
    assert await second.step()
    assert await left(environment.id) == 0


async def test_a_replica_that_stops_gives_its_lease_back(
    mongodb_uri: str, database_name: str, bus: InProcessBus, store: MongoStore
) -> None:
    async def is_held() -> bool:
        connection = Connection(mongodb_uri, database_name, utc_now)
        found = await connection["leases"].find_one({"_id": LEASE})
        await connection.close()
        return found is not None

    async with running_api(store, bus) as client:
        await client.health(SERVING)
        await soon(is_held)
    assert not await is_held()


async def test_tombstones_older_than_the_retention_are_compacted(
    mongodb_uri: str, database_name: str, store: MongoStore, bus: InProcessBus
) -> None:
    then = datetime.now(UTC) - timedelta(days=2)
    past = MongoStore.open(mongodb_uri, database=database_name, clock=lambda: then)
    organization = await make_organization(past, "old")
    project = await make_project(past, organization.meta.id, "old")
    environment = await make_environment(past, project.meta.id, "old")
    created = await past.resources.commit(change(environment.id, *create(flag("a"))))
    gone = await past.resources.commit(change(environment.id, delete(created.resources[0])))
    await past.close()

    async def floor_is(revision: int) -> bool:
        return (await store.definitions.read_definitions(environment.id)).floor == revision

    young = Maintenance(store.maintenance, timedelta(days=3))
    assert not await young.step()
    assert await floor_is(0)
    await young.release()
    async with running_api(store, bus, tombstone_retention=timedelta(days=1)) as client:
        await client.health(SERVING)
        await soon(lambda: floor_is(gone.revision))


async def test_an_outage_of_the_store_is_logged_once_and_the_work_goes_on(
    mongodb_uri: str,
    database_name: str,
    store: MongoStore,
    environment: Environment,
    left: Left,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await fill(store, environment.id)
    await delete_environment(store, environment.id)
    refused = MongoStore.open(refused_uri(mongodb_uri), database=database_name)
    maintenance = Maintenance(refused.maintenance, RETENTION)
    with caplog.at_level(logging.INFO):
        async with failing(mongodb_uri, ["delete"], OUT_OF_DISK_SPACE):
            task = asyncio.create_task(maintenance.run())
            await until_logged(caplog, "upkeep of the store waits: ")
            maintenance.wake()
        maintenance.wake()
        await soon(lambda: is_zero(left(environment.id)))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await refused.close()
    assert caplog.text.count("upkeep of the store waits: ") == 1
    assert "has no disk space left" in caplog.text


async def test_a_full_store_is_unavailable_to_operators_and_the_change_is_not_made(
    mongodb_uri: str,
    database_name: str,
    bus: InProcessBus,
    api: ApiClient,
    environment: Environment,
) -> None:
    full = MongoStore.open(refused_uri(mongodb_uri), database=database_name)
    request = flag_service_pb2.CreateFlagRequest(
        parent=environment.name, resource=flag_resource("f")
    )
    async with running_api(full, bus) as client:
        await client.health(SERVING)
        stub = ApiClient(client.channel, "")
        stub.metadata = api.metadata
        async with failing(mongodb_uri, ["insert"], OUT_OF_DISK_SPACE):
            error = await stub.refused(stub.flags.CreateFlag, request)
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert (error.details() or "").endswith("has no disk space left")
        get = flag_service_pb2.GetFlagRequest(name=f"{environment.name}/flags/f")
        missing = await stub.refused(stub.flags.GetFlag, get)
        assert missing.code() == grpc.StatusCode.NOT_FOUND
        stored = (await stub.call(stub.flags.CreateFlag, request)).resource
        assert stored.flag.version == 1
    await full.close()


async def test_a_lease_that_cannot_be_given_back_does_not_keep_a_replica_from_stopping(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = MongoStore.open(f"mongodb://{free_address()}/?replicaSet=rs0")
    await Maintenance(away.maintenance, RETENTION).release()
    await away.close()
    assert "the lease of upkeep runs out by itself" in caplog.text
