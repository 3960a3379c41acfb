from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from featmesh.engine.model import Attribute, Context
from services.storage.model.end_users import EndUser, UserFilter
from services.storage.model.observations import UserObservations
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, utc_now
from services.storage.mongodb.events.end_users import MAX_ATTRIBUTES, MAX_SEEN_VALUES
from tests.integration.storage.records import NOON
from tests.support.observations import see_users
from tests.support.resources import Environment

MINUTE = timedelta(minutes=1)


async def users(store: MongoStore, environment: Environment) -> tuple[EndUser, ...]:
    page = await store.end_users.search_end_users(environment.id, 100, "", user_filter=UserFilter())
    return page.items


async def test_a_user_is_read_back_with_attributes_of_every_type(
    store: MongoStore, environment: Environment
) -> None:
    attributes: dict[str, Attribute] = {
        "plan": "$pro",
        "address.city": "Paris",
        "$where": "1",
        "": "nameless",
        "age": 36.5,
        "paying": False,
        "groups": ("a", "$b"),
    }
    ada = Context("ada", "$Ada", attributes)
    await see_users(store, environment.id, [ada], NOON)
    assert await users(store, environment) == (EndUser(ada, NOON, NOON),)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_sightings_merge_to_the_same_user_in_any_order(
    store: MongoStore, environment: Environment, order: tuple[int, ...]
) -> None:
    observations = [
        (Context("ada", "A", {"plan": "free", "old": "kept"}), NOON),
        (Context("ada", "Ada", {"plan": "pro"}), NOON + MINUTE),
        (Context("ada", "", {"country": "GB"}), NOON + 2 * MINUTE),
    ]
    for position in order:
        context, seen_at = observations[position]
        await see_users(store, environment.id, [context], seen_at)
    merged = Context("ada", "Ada", {"plan": "pro", "old": "kept", "country": "GB"})
    assert await users(store, environment) == (EndUser(merged, NOON, NOON + 2 * MINUTE),)


async def test_of_two_sightings_in_one_batch_the_second_wins(
    store: MongoStore, environment: Environment
) -> None:
    both = [Context("ada", "", {"plan": plan}) for plan in ("free", "pro")]
    await see_users(store, environment.id, both, NOON)
    [ada] = await users(store, environment)
    assert ada.context.attributes == {"plan": "pro"}


async def test_sightings_that_are_stored_together_are_merged_as_if_one_by_one(
    store: MongoStore, environment: Environment
) -> None:
    observations = [
        UserObservations(environment.id, [Context("ada", "Ada", {"plan": "pro"})], NOON + MINUTE),
        UserObservations(
            environment.id, [Context("ada", "A", {"plan": "free", "age": 36.0})], NOON
        ),
        UserObservations(environment.id, [], NOON - MINUTE),
    ]
    for _ in range(2):  # delivered again
        await store.insights.store_observations(observations)
    merged = Context("ada", "Ada", {"plan": "pro", "age": 36.0})
    assert await users(store, environment) == (EndUser(merged, NOON, NOON + MINUTE),)
    properties = await store.end_users.list_user_properties(environment.id, 10, "")
    assert [(each.name, each.values) for each in properties.items] == [
        ("age", ()),
        ("plan", ("pro", "free")),
    ]


async def test_a_user_keeps_a_bounded_number_of_attributes_the_newest(
    store: MongoStore, environment: Environment
) -> None:
    for turn in range(2):
        attributes: dict[str, Attribute] = {f"{turn}-{n}": "x" for n in range(MAX_ATTRIBUTES)}
        seen_at = NOON + turn * MINUTE
        await see_users(store, environment.id, [Context("ada", "", attributes)], seen_at)
    [ada] = await users(store, environment)
    assert set(ada.context.attributes) == {f"1-{n}" for n in range(MAX_ATTRIBUTES)}


async def test_users_are_paged_by_key_and_found_by_prefix(
    store: MongoStore, environment: Environment
) -> None:
    contexts = [Context(key) for key in ("b", "aé", "a.*", "a", "A")]
    await see_users(store, environment.id, contexts, NOON)
    first = await store.end_users.search_end_users(
        environment.id, 2, "", user_filter=UserFilter(key_prefix="a")
    )
    second = await store.end_users.search_end_users(
        environment.id, 2, first.next_token, user_filter=UserFilter(key_prefix="a")
    )
    assert [one.context.key for one in first.items] == ["a", "a.*"]
    assert [one.context.key for one in second.items] == ["aé"]
    assert second.next_token == ""
    literal = await store.end_users.search_end_users(
        environment.id, 9, "", user_filter=UserFilter(key_prefix="a.")
    )
    assert [one.context.key for one in literal.items] == ["a.*"]


async def test_no_users_are_no_work(store: MongoStore, environment: Environment) -> None:
    await see_users(store, environment.id, [], NOON)
    assert await users(store, environment) == ()


async def test_property_names_are_learnt_with_a_bounded_number_of_values(
    mongodb_uri: str, store: MongoStore, environment: Environment, database_name: str
) -> None:
    many = [Context(f"u{n}", "", {"plan": f"{n:03}"}) for n in range(MAX_SEEN_VALUES + 50)]
    odd = Context("ada", "", {"a.b": True, "$age": 3.0, "groups": ("x", "y"), "bio": "y" * 9999})
    for _ in range(2):
        await see_users(store, environment.id, [*many, odd], NOON)
    connection = Connection(mongodb_uri, database_name, utc_now)
    stored = await connection["user_properties"].find().to_list(None)
    await connection.close()
    learnt = {one["name"]: (one["type"], one["values"]) for one in stored}
    plans = [f"{n:03}" for n in range(MAX_SEEN_VALUES)]
    assert learnt == {
        "plan": ("STRING", plans),
        "a.b": ("BOOLEAN", []),
        "$age": ("NUMBER", []),
        "groups": ("LIST", ["x", "y"]),
        "bio": ("STRING", []),
    }
