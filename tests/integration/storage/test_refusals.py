"""A store that answers, and refuses: full disk, used-up quota, no primary."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from featmesh.engine.model import Context
from services.runtime.errors import StoreUnavailable
from services.storage.model.end_users import ImportedUser
from services.storage.model.kinds import FLAG, ORGANIZATION
from services.storage.model.queries import Query
from services.storage.model.resource import INSTALLATION_ID
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import NOON, change, create, flag, segment, update
from tests.integration.storage.test_commit import assert_nothing_was_written
from tests.support.fail_points import (
    NOT_WRITABLE_PRIMARY,
    OUT_OF_DISK_SPACE,
    PRIMARY_STEPPED_DOWN,
    QUOTA_EXCEEDED,
    failing,
    refused_uri,
)
from tests.support.observations import see_users
from tests.support.resources import (
    Environment,
    delete_environment,
    make_access_token,
    make_organization,
    read_environment,
)

FULL = (
    (OUT_OF_DISK_SPACE, "has no disk space left"),
    (QUOTA_EXCEEDED, "has used up its disk quota"),
)


@pytest.fixture
async def refused(
    mongodb_uri: str, database_name: str, store: MongoStore
) -> AsyncIterator[MongoStore]:
    """The store of the test, through the client whose commands can be made to fail."""
    opened = MongoStore.open(refused_uri(mongodb_uri), database=database_name)
    yield opened
    await opened.close()


@pytest.mark.parametrize(("code", "text"), FULL)
@pytest.mark.parametrize("command", ["findAndModify", "update", "insert"])
async def test_a_change_that_a_full_store_refuses_at_any_point_is_not_written_at_all(
    mongodb_uri: str,
    store: MongoStore,
    refused: MongoStore,
    environment: Environment,
    command: str,
    code: int,
    text: str,
) -> None:
    first = await store.resources.commit(change(environment.id, *create(flag("a"))))
    replacement = update(first.resources[0], salt="x")
    attempt = change(environment.id, replacement, *create(flag("b"), segment("s-1", "vip")))
    async with failing(mongodb_uri, [command], code):
        with pytest.raises(StoreUnavailable) as refusal:
            await refused.resources.commit(attempt)
    assert refusal.value.message == f"MongoDB at {refused.address} {text}"
    await assert_nothing_was_written(store, environment, first)
    assert (await refused.resources.commit(attempt)).revision > first.revision, "it is free again"


@pytest.mark.parametrize(("code", "text"), FULL)
async def test_every_write_of_a_full_store_is_unavailable(
    mongodb_uri: str, refused: MongoStore, environment: Environment, code: int, text: str
) -> None:
    writes: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: make_organization(refused, "new"),
        lambda: make_access_token(refused, "ci", "hash"),
        lambda: see_users(refused, environment.id, [Context("ada")], NOON),
        lambda: refused.outbox.delete_outbox(["any"]),
        lambda: delete_environment(refused, environment.id),
    )
    commands = ["insert", "update", "delete", "findAndModify"]
    async with failing(mongodb_uri, commands, code):
        for write in writes:
            with pytest.raises(StoreUnavailable) as refusal:
                await write()
            assert refusal.value.message.endswith(text)
    current = await read_environment(refused, environment.id)
    assert (current.meta.version, current.meta.revision) == (1, environment.revision)
    listed = await refused.resources.list(ORGANIZATION, INSTALLATION_ID, Query(10))
    assert [each.key for each in listed.items] == ["acme"]


@pytest.mark.parametrize("code", [NOT_WRITABLE_PRIMARY, PRIMARY_STEPPED_DOWN])
async def test_a_node_that_is_no_primary_any_more_is_said_so(
    mongodb_uri: str, refused: MongoStore, code: int
) -> None:
    async with failing(mongodb_uri, ["delete"], code):
        with pytest.raises(StoreUnavailable) as refusal:
            await refused.outbox.delete_outbox(["any"])
    assert "has no primary that takes writes just now" in refusal.value.message


@pytest.mark.parametrize("command", ["findAndModify", "insert", "commitTransaction"])
async def test_a_change_outlives_a_step_down_and_is_written_once(
    mongodb_uri: str, refused: MongoStore, environment: Environment, command: str
) -> None:
    async with failing(mongodb_uri, [command], PRIMARY_STEPPED_DOWN, times=1):
        committed = await refused.resources.commit(change(environment.id, *create(flag("a"))))
    page = await refused.resources.history(FLAG, environment.id, "a", 10, "")
    assert [each.version for each in page.items] == [1]
    assert len(await refused.outbox.list_outbox(10)) == 1
    current = await read_environment(refused, environment.id)
    assert current.meta.revision == committed.revision


async def test_an_import_that_stopped_half_way_has_learnt_all_properties_when_it_is_repeated(
    mongodb_uri: str, refused: MongoStore, environment: Environment
) -> None:
    users = [ImportedUser(Context("ada", "", {"plan": "pro"}))]
    async with failing(mongodb_uri, ["update"], OUT_OF_DISK_SPACE, after=1):
        with pytest.raises(StoreUnavailable):
            await refused.end_users.import_end_users(environment.id, users, validate_only=False)
    await refused.end_users.import_end_users(environment.id, users, validate_only=False)
    properties = await refused.end_users.list_user_properties(environment.id, 10, "")
    assert [each.name for each in properties.items] == ["plan"]
    assert (await refused.end_users.get_end_user(environment.id, "ada")).context == users[0].context
