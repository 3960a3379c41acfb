from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.runtime.errors import AlreadyExists, FailedPrecondition, NotFound
from services.storage.model.changes import Change, ItemChange
from services.storage.model.credentials import (
    BOOTSTRAP_TOKEN_ID,
    AccessToken,
    AccessTokenKind,
    RoleGrant,
)
from services.storage.model.kinds import ACCESS_TOKEN, ENVIRONMENT, ORGANIZATION, PROJECT, SDK_KEY
from services.storage.model.queries import Query
from services.storage.model.resource import INSTALLATION_ID, Scope
from services.storage.mongodb import MongoStore
from tests.support.resources import (
    ADA,
    Environment,
    create,
    delete,
    list_sdk_keys,
    make_access_token,
    make_environment,
    make_organization,
    make_project,
    make_sdk_key,
    read_environment,
    revoke_sdk_key,
    update,
)


async def test_a_key_is_taken_within_its_parent_only(
    store: MongoStore, environment: Environment
) -> None:
    with pytest.raises(AlreadyExists):
        await make_organization(store, "acme")
    with pytest.raises(AlreadyExists):
        await make_environment(store, environment.project_id, environment.key)
    other = await make_organization(store, "other")
    project = await make_project(store, other.meta.id, "shop")
    with pytest.raises(AlreadyExists):
        await make_project(store, other.meta.id, "shop")
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
        store.resources.list(PROJECT, "nothing", Query(10)),
        store.resources.list(ENVIRONMENT, "nothing", Query(10)),
        make_sdk_key(store, "nothing", "hash"),
        revoke_sdk_key(store, "nothing", "key"),
        create(store, ACCESS_TOKEN, "nothing", AccessToken("ci", AccessTokenKind.SERVICE, "hash")),
    ):
        with pytest.raises(NotFound):
            await call


async def test_a_new_environment_has_the_time_as_its_revision(
    store: MongoStore, environment: Environment
) -> None:
    now = datetime.now(UTC).timestamp() * 1000
    assert now - 60_000 < environment.revision <= now
    read = await store.definitions.read_definitions(environment.id)
    assert (read.revision, read.floor) == (environment.revision, 0)


async def test_a_scope_that_holds_others_cannot_be_deleted(
    store: MongoStore, environment: Environment
) -> None:
    organization = await store.resources.get(ORGANIZATION, INSTALLATION_ID, "acme")
    project = await store.resources.get(PROJECT, organization.meta.id, "shop")
    for held, text in ((organization, "still holds a project"), (project, "an? environment")):
        with pytest.raises(FailedPrecondition, match=text):
            await delete(store, held)
    await delete(store, await read_environment(store, environment.id))
    await delete(store, project)
    token = AccessToken("ci", AccessTokenKind.SERVICE, "hash-1")
    await create(store, ACCESS_TOKEN, organization.meta.id, token)
    await delete(store, organization)
    assert await store.credentials.find_access_token("hash-1") is None


async def test_what_is_made_while_its_parent_is_deleted_does_not_outlive_it(
    store: MongoStore,
) -> None:
    organization = await make_organization(store)
    outcomes = await asyncio.gather(
        delete(store, organization),
        *(make_project(store, organization.meta.id, f"p{n}") for n in range(6)),
        return_exceptions=True,
    )
    projects = await store._connection["projects"].count_documents({})
    is_deleted = not isinstance(outcomes[0], BaseException)
    assert projects == (0 if is_deleted else 6)


async def test_names_of_scopes_are_found_by_keys_and_by_ids(
    store: MongoStore, environment: Environment
) -> None:
    resources = store.resources
    found = await resources.resolve("acme", "shop", "production")
    assert (found.level, found.environment_id) == (Scope.ENVIRONMENT, environment.id)
    assert found.path == "organizations/acme/projects/shop/environments/production"
    assert (found.organization_id, found.project_id) == (
        environment.organization_id,
        environment.project_id,
    )
    by_id = await resources.resolve(environment.organization_id, "shop", environment.id)
    assert by_id == found == await resources.ancestry(environment.id)
    assert (await resources.resolve("acme", "shop")).scope_id == environment.project_id
    for names, text in (
        (("nobody", "shop"), "organization 'nobody'"),
        (("acme", "nothing", "production"), "project 'nothing'"),
        (("acme", "shop", "nowhere"), "environment 'nowhere'"),
    ):
        with pytest.raises(NotFound, match=text):
            await resources.resolve(*names)


async def test_an_sdk_key_is_found_by_its_hash_also_when_revoked(
    store: MongoStore, environment: Environment
) -> None:
    made = await make_sdk_key(store, environment.id, "hash-1")
    assert await store.credentials.find_sdk_key("hash-1") == made
    assert await store.credentials.find_sdk_key("hash-2") is None
    revoked = await revoke_sdk_key(store, environment.id, made.meta.id)
    assert revoked.content.revoked_at is not None
    assert await store.credentials.find_sdk_key("hash-1") == revoked


async def test_of_many_sdk_keys_those_are_good_that_are_there_and_not_revoked(
    store: MongoStore, environment: Environment
) -> None:
    good, revoked, left_out = [
        (await make_sdk_key(store, environment.id, f"h-{n}")).meta.id for n in range(3)
    ]
    await revoke_sdk_key(store, environment.id, revoked)
    found = await store.credentials.good_sdk_keys([good, revoked, "never made"])
    assert found == {good}
    assert await store.credentials.good_sdk_keys([left_out]) == {left_out}
    assert await store.credentials.good_sdk_keys([]) == frozenset()


async def test_an_sdk_key_of_another_environment_is_not_found(
    store: MongoStore, environment: Environment
) -> None:
    made = await make_sdk_key(store, environment.id, "hash-1")
    other = await make_environment(store, environment.project_id, "staging")
    with pytest.raises(NotFound):
        await store.resources.get(SDK_KEY, other.id, made.meta.id)


async def test_sdk_keys_are_paged_in_order_of_creation(
    store: MongoStore, environment: Environment
) -> None:
    made = [await make_sdk_key(store, environment.id, f"hash-{n}") for n in range(5)]
    expected = sorted(made, key=lambda key: (key.meta.created_at, key.meta.id))
    first = await store.resources.list(SDK_KEY, environment.id, Query(3))
    rest = await store.resources.list(SDK_KEY, environment.id, Query(3, first.next_token))
    assert [*first.items, *rest.items] == expected
    assert (first.total, rest.total, rest.next_token) == (5, 5, "")
    assert len(await list_sdk_keys(store, environment.id)) == 5


async def test_an_access_token_is_found_by_its_hash(store: MongoStore) -> None:
    made = await make_access_token(store, "ci", "hash-1")
    assert await store.credentials.find_access_token("hash-1") == made
    assert await store.credentials.find_access_token("hash-2") is None
    with pytest.raises(AlreadyExists):
        await make_access_token(store, "other", "hash-1")


async def test_an_access_token_is_read_back_as_it_was_made_and_notes_its_last_use(
    store: MongoStore, environment: Environment
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    token = AccessToken(
        "deploy",
        AccessTokenKind.PERSONAL,
        "hash-1",
        "wxyz",
        owner="member-1",
        grants=(RoleGrant("editor", Scope.PROJECT, environment.project_id),),
        expires_at=now + timedelta(days=90),
    )
    made = await create(store, ACCESS_TOKEN, environment.organization_id, token)
    assert (made.content, made.meta.scope_id) == (token, environment.organization_id)
    await store.credentials.record_token_use(made.meta.id, now)
    await store.credentials.record_token_use(made.meta.id, now - timedelta(hours=1))
    used = await store.credentials.find_access_token("hash-1")
    assert used is not None
    assert (used.content.last_used_at, used.meta) == (now, made.meta)
    revoked = await update(store, used, revoked_at=now)
    assert revoked.content.last_used_at == now
    listed = await store.resources.list(ACCESS_TOKEN, environment.organization_id, Query(10))
    assert listed.items == (revoked,)
    others = await store.resources.list(ACCESS_TOKEN, INSTALLATION_ID, Query(10))
    assert others.items == ()


async def test_an_installation_has_one_bootstrap_token_whoever_makes_it(
    mongodb_uri: str, store: MongoStore, database_name: str
) -> None:
    other = MongoStore.open(mongodb_uri, database=database_name)

    def attempt(secret_hash: str) -> Change:
        token = AccessToken("admin", AccessTokenKind.SERVICE, secret_hash)
        item = ItemChange(ACCESS_TOKEN, "create", None, token, id=BOOTSTRAP_TOKEN_ID)
        return Change(INSTALLATION_ID, ADA, (item,))

    attempts = [
        one.resources.commit(attempt(f"hash-{turn}-{id(one)}"))
        for turn in range(4)
        for one in (store, other)
    ]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    await other.close()
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 7
