from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from services.runtime.errors import AlreadyExists, NotFound
from services.storage.model.credentials import SdkKey, SdkKeyKind
from services.storage.mongodb import MongoStore
from tests.support.resources import (
    Environment,
    make_access_token,
    make_environment,
    make_organization,
    make_project,
    read_environment,
    revoke_sdk_key,
)


async def sdk_key(store: MongoStore, environment_id: str, secret_hash: str) -> SdkKey:
    return await store.credentials.create_sdk_key(
        environment_id,
        SdkKeyKind.SERVER,
        "backend",
        secret_hash=secret_hash,
        last_characters="wxyz",
    )


async def test_a_key_is_taken_within_its_parent_only(
    store: MongoStore, environment: Environment
) -> None:
    with pytest.raises(AlreadyExists):
        await make_organization(store, "acme")
    with pytest.raises(AlreadyExists):
        await make_environment(store, environment.project_id, environment.key)
    other = await make_organization(store, "other")
    project = await make_project(store, other.id, "shop")
    with pytest.raises(AlreadyExists):
        await make_project(store, other.id, "shop")
    twin = await make_environment(store, project.meta.id, environment.key)
    assert twin.id != environment.id


async def test_of_concurrent_creations_of_one_key_one_wins(store: MongoStore) -> None:
    attempts = (make_organization(store, "acme") for _ in range(8))
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 7


async def test_a_parent_that_is_not_there_is_not_found(store: MongoStore) -> None:
    for call in (
        make_project(store, "nothing", "a"),
        make_environment(store, "nothing", "a"),
        read_environment(store, "nothing"),
        store.tenancy.list_projects("nothing", 10, ""),
        store.tenancy.list_environments("nothing", 10, ""),
        sdk_key(store, "nothing", "hash"),
        revoke_sdk_key(store, "nothing", "key"),
    ):
        with pytest.raises(NotFound):
            await call


async def test_a_new_environment_has_the_time_as_its_revision(
    store: MongoStore, environment: Environment
) -> None:
    now = datetime.now(UTC).timestamp() * 1000
    assert now - 60_000 < environment.revision <= now
    assert environment.floor == 0
    assert await read_environment(store, environment.id) == environment


async def test_an_sdk_key_is_found_by_its_hash_also_when_revoked(
    store: MongoStore, environment: Environment
) -> None:
    made = await sdk_key(store, environment.id, "hash-1")
    assert await store.credentials.find_sdk_key("hash-1") == made
    assert await store.credentials.find_sdk_key("hash-2") is None
    revoked = await revoke_sdk_key(store, environment.id, made.id)
    assert revoked.revoked_at is not None
    assert await store.credentials.find_sdk_key("hash-1") == revoked


async def test_of_many_sdk_keys_those_are_good_that_are_there_and_not_revoked(
    store: MongoStore, environment: Environment
) -> None:
    good, revoked, left_out = [await sdk_key(store, environment.id, f"h-{n}") for n in range(3)]
    await revoke_sdk_key(store, environment.id, revoked.id)
    found = await store.credentials.good_sdk_keys([good.id, revoked.id, "never made"])
    assert found == {good.id}
    assert await store.credentials.good_sdk_keys([left_out.id]) == {left_out.id}
    assert await store.credentials.good_sdk_keys([]) == frozenset()


async def test_the_first_time_of_a_revocation_is_kept(
    store: MongoStore, environment: Environment
) -> None:
    made = await sdk_key(store, environment.id, "hash-1")
    first = await revoke_sdk_key(store, environment.id, made.id)
    assert await revoke_sdk_key(store, environment.id, made.id) == first


async def test_an_sdk_key_of_another_environment_is_not_found(
    store: MongoStore, environment: Environment
) -> None:
    made = await sdk_key(store, environment.id, "hash-1")
    other = await make_environment(store, environment.project_id, "staging")
    with pytest.raises(NotFound):
        await revoke_sdk_key(store, other.id, made.id)


async def test_sdk_keys_are_paged_in_order_of_creation(
    store: MongoStore, environment: Environment
) -> None:
    made = [await sdk_key(store, environment.id, f"hash-{n}") for n in range(5)]
    expected = sorted(made, key=lambda key: (key.created_at, key.id))
    found: list[SdkKey] = []
    token = ""
    for _ in range(3):
        page = await store.credentials.list_sdk_keys(environment.id, 2, token)
        found += page.items
        token = page.next_token
    assert (found, token) == (expected, "")


async def test_an_access_token_is_found_by_its_hash(store: MongoStore) -> None:
    made = await make_access_token(store, "ci", "hash-1")
    assert await store.credentials.find_access_token("hash-1") == made
    assert await store.credentials.find_access_token("hash-2") is None
    with pytest.raises(AlreadyExists):
        await make_access_token(store, "other", "hash-1")


async def test_an_installation_has_one_bootstrap_token_whoever_makes_it(
    mongodb_uri: str, store: MongoStore, database_name: str
) -> None:
    other = MongoStore.open(mongodb_uri, database=database_name)
    attempts = [
        one.credentials.create_bootstrap_token("admin", f"hash-{turn}-{id(one)}")
        for turn in range(4)
        for one in (store, other)
    ]
    outcomes = await asyncio.gather(*attempts)
    await other.close()
    assert sum(outcome is not None for outcome in outcomes) == 1
    assert await store.credentials.create_bootstrap_token("admin", "late") is None
