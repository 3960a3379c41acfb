from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from featmesh.engine.model import Context
from services.storage.model.end_users import EndUser, UserFilter
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, utc_now
from services.storage.mongodb.migrations import SCHEMA_VERSION
from services.storage.mongodb.reports import end_user_search
from tests.integration.storage.records import NOON
from tests.support.observations import see_users
from tests.support.resources import Environment

USERS = 1_000
SIZE = 5


@pytest.fixture
async def crowd(store: MongoStore, environment: Environment) -> Environment:
    """A thousand users: one in ten pays, one in a hundred is in Malta, all names begin alike."""
    users = [
        Context(
            f"u{n:04}",
            f"User {n:04}",
            {"plan": "free" if n % 10 else "pro", "country": "GB" if n % 100 else "MT"},
        )
        for n in range(USERS)
    ]
    await see_users(store, environment.id, users, NOON)
    return environment


@pytest.fixture
async def database(mongodb_uri: str, database_name: str) -> AsyncIterator[Any]:
    connection = Connection(mongodb_uri, database_name, utc_now)
    yield connection.database
    await connection.close()


async def search(
    store: MongoStore, environment: Environment, wanted: UserFilter, token: str = ""
) -> tuple[list[str], str]:
    page = await store.end_users.search_end_users(environment.id, SIZE, token, user_filter=wanted)
    return [one.context.key for one in page.items], page.next_token


async def all_found(store: MongoStore, environment: Environment, wanted: UserFilter) -> list[str]:
    keys, token = await search(store, environment, wanted)
    while token:
        more, token = await search(store, environment, wanted, token)
        keys += more
    return keys


@pytest.mark.parametrize(
    "wanted",
    [
        UserFilter(),
        UserFilter(key_prefix="u05"),
        UserFilter(name_prefix="USER 05"),
        UserFilter(attributes=(("country", "MT"),)),
        UserFilter(key_prefix="u0", attributes=(("plan", "pro"),)),
    ],
)
async def test_a_page_deep_in_the_list_reads_what_it_shows_and_no_more(
    store: MongoStore, crowd: Environment, wanted: UserFilter, database: Any
) -> None:
    _, token = await search(store, crowd, wanted)
    await database.command("profile", 2)
    try:
        keys, _ = await search(store, crowd, wanted, token)
    finally:
        await database.command("profile", 0)
    reads = await database["system.profile"].find({"ns": f"{database.name}.end_users"}).to_list(9)
    await database.drop_collection("system.profile")
    assert len(keys) == SIZE
    assert SIZE <= sum(each["docsExamined"] for each in reads) <= SIZE + 1


async def test_a_search_that_no_index_answers_looks_at_a_bounded_number_for_each_page(
    store: MongoStore, crowd: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_user_search, "LOOKED_AT", 30)
    both = UserFilter(attributes=(("plan", "pro"), ("country", "MT")))
    keys, token = await search(store, crowd, both)
    assert keys == ["u0000", "u0100", "u0200"], "thirty payers are the first 300 users"
    assert token
    for wanted in (both, UserFilter(name_prefix="user", attributes=(("country", "MT"),))):
        assert await all_found(store, crowd, wanted) == [f"u{n:04}" for n in range(0, USERS, 100)]
    nobody = UserFilter(name_prefix="user", key_prefix="x")
    assert await all_found(store, crowd, nobody) == []


async def test_users_of_one_name_are_all_found_by_it(
    store: MongoStore, environment: Environment
) -> None:
    users = [Context(f"g{n:02}", "Guest" if n % 2 else "GUEST") for n in range(23)]
    await see_users(store, environment.id, users, NOON)
    wanted = UserFilter(name_prefix="guest")
    assert await all_found(store, environment, wanted) == [user.key for user in users]


async def test_names_that_an_older_version_stored_are_found_after_the_migration(
    store: MongoStore, environment: Environment, database: Any
) -> None:
    await see_users(store, environment.id, [Context("ada", "Ada")], NOON)
    await database["end_users"].update_many({}, {"$unset": {"folded_name": ""}})
    before = {"$set": {"version": 2}}
    await database["schema"].update_one({"_id": "schema"}, before, upsert=True)
    await store.migrate()
    assert (await search(store, environment, UserFilter(name_prefix="aDA")))[0] == ["ada"]
    recorded = await database["schema"].find_one({"_id": "schema"})
    assert recorded["version"] == SCHEMA_VERSION


async def test_a_user_is_got_by_its_key(store: MongoStore, environment: Environment) -> None:
    ada = Context("ada/grace", "Ada")
    await see_users(store, environment.id, [ada], NOON)
    got = await store.end_users.get_end_user(environment.id, "ada/grace")
    assert got == EndUser(ada, NOON, NOON)
