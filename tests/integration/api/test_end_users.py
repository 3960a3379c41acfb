from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from featmesh.engine.model import Context
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.flag.v1 import condition_pb2, flag_pb2
from featmesh.management.v1 import end_user_service_pb2 as pb
from featmesh.management.v1 import flag_service_pb2, segment_service_pb2
from featmesh.management.v1.page_pb2 import PageRequest
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import change, create, flag
from tests.support.api import ApiClient, flag_resource, rollout, segment_resource
from tests.support.observations import see_users
from tests.support.resources import NOWHERE, Environment
from tests.support.statuses import violations

NOON = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)

ADA = Context("ada", "Ada Lovelace", {"plan": "pro", "age": 36.0, "groups": ("a", "b")})
BOB = Context("bob", "adam", {"plan": "pro", "paying": True})
EVE = Context("eve", "", {"plan": "free"})


@pytest.fixture
async def seen(store: MongoStore, environment: Environment) -> Environment:
    """The environment, after three users were seen at noon."""
    await see_users(store, environment.id, [ADA, BOB, EVE], NOON)
    return environment


def attribute(name: str, **value: Any) -> pb.AttributeFilter:
    return pb.AttributeFilter(name=name, value=evaluation_pb2.AttributeValue(**value))


async def found(api: ApiClient, environment: Environment, **wanted: Any) -> list[str]:
    request = pb.SearchEndUsersRequest(parent=environment.name, filter=pb.EndUserFilter(**wanted))
    answer = await api.call(api.users.SearchEndUsers, request)
    assert not answer.next_token
    return [user.context.key for user in answer.end_users]


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        ({}, ["ada", "bob", "eve"]),
        ({"key_prefix": "a"}, ["ada"]),
        ({"name_prefix": "ADA"}, ["ada", "bob"]),
        ({"attributes": [attribute("plan", string_value="pro")]}, ["ada", "bob"]),
        ({"attributes": [attribute("groups", string_value="b")]}, ["ada"]),
        ({"attributes": [attribute("age", number_value=36)]}, ["ada"]),
        ({"attributes": [attribute("age", string_value="36")]}, []),
        ({"attributes": [attribute("paying", bool_value=True)]}, ["bob"]),
        ({"attributes": [attribute("paying", number_value=1)]}, []),
        ({"attributes": [attribute("name", string_value="adam")]}, []),
        (
            {
                "name_prefix": "ada",
                "key_prefix": "b",
                "attributes": [attribute("plan", string_value="pro")],
            },
            ["bob"],
        ),
        (
            {
                "attributes": [
                    attribute("plan", string_value="pro"),
                    attribute("paying", bool_value=True),
                ]
            },
            ["bob"],
        ),
    ],
)
async def test_users_are_found_by_key_name_and_attribute(
    api: ApiClient, seen: Environment, wanted: dict[str, Any], keys: list[str]
) -> None:
    assert await found(api, seen, **wanted) == keys


async def test_a_search_goes_on_where_the_page_before_ended(
    api: ApiClient, seen: Environment
) -> None:
    for wanted in (
        {},
        {"name_prefix": "a"},
        {"attributes": [attribute("plan", string_value="pro")]},
    ):
        request = pb.SearchEndUsersRequest(
            parent=seen.name, filter=pb.EndUserFilter(**wanted), page=PageRequest(size=1)
        )
        keys = []
        while True:
            answer = await api.call(api.users.SearchEndUsers, request)
            keys += [user.context.key for user in answer.end_users]
            request.page.token = answer.next_token
            if not answer.next_token:
                break
        # By name "ada lovelace" comes before "adam", so both orders are that of the keys.
        assert keys == await found(api, seen, **wanted)


async def test_a_filter_beyond_its_limits_is_refused_field_by_field(
    api: ApiClient, seen: Environment
) -> None:
    wanted = pb.EndUserFilter(
        key_prefix="x" * 513,
        name_prefix="é" * 257,
        attributes=[
            attribute("", string_value="x"),
            pb.AttributeFilter(name="plan"),
            attribute("plan", string_value="x" * 4_097),
            attribute("age", number_value=float("nan")),
        ],
    )
    request = pb.SearchEndUsersRequest(parent=seen.name, filter=wanted)
    error = await api.refused(api.users.SearchEndUsers, request)
    assert set(violations(error)) == {
        "filter.key_prefix",
        "filter.name_prefix",
        "filter.attributes[0].name",
        "filter.attributes[1].value",
        "filter.attributes[2].value.string_value",
        "filter.attributes[3].value.number_value",
    }


async def test_a_filter_of_too_many_attributes_or_of_no_single_value_is_refused(
    api: ApiClient, seen: Environment
) -> None:
    texts = evaluation_pb2.StringList(values=["a"])
    for attributes, paths in (
        ([attribute("plan", bool_value=True)] * 6, {"filter.attributes"}),
        (
            [attribute("plan"), attribute("groups", list_value=texts)],
            {"filter.attributes[0].value", "filter.attributes[1].value"},
        ),
    ):
        wanted = pb.EndUserFilter(attributes=attributes)
        request = pb.SearchEndUsersRequest(parent=seen.name, filter=wanted)
        error = await api.refused(api.users.SearchEndUsers, request)
        assert set(violations(error)) == paths


async def test_a_user_is_shown_with_attributes_and_times(api: ApiClient, seen: Environment) -> None:
    request = pb.GetEndUserRequest(parent=seen.name, key="ada")
    user = (await api.call(api.users.GetEndUser, request)).end_user
    assert user.context.name == "Ada Lovelace"
    assert list(user.context.attributes["groups"].list_value.values) == ["a", "b"]
    assert user.first_seen.ToDatetime(UTC) == user.last_seen.ToDatetime(UTC) == NOON


async def create_flag(api: ApiClient, environment: Environment, key: str, **fields: Any) -> None:
    request = flag_service_pb2.CreateFlagRequest(
        parent=environment.name, resource=flag_resource(key, enabled=True, **fields)
    )
    await api.call(api.flags.CreateFlag, request)


async def served(api: ApiClient, environment: Environment, key: str) -> dict[str, str]:
    request = pb.ListServedFlagsRequest(parent=environment.name, key=key, page=PageRequest(size=1))
    variations: dict[str, str] = {}
    while True:
        answer = await api.call(api.users.ListServedFlags, request)
        variations |= {each.result.flag_key: each.result.variation_id for each in answer.flags}
        request.page.token = answer.next_token
        if not answer.next_token:
            return variations


async def test_flags_are_evaluated_for_a_user_by_the_current_definitions(
    api: ApiClient, seen: Environment
) -> None:
    plan = condition_pb2.Condition(
        attribute="plan", operator=condition_pb2.OPERATOR_EQUAL, values=["pro"]
    )
    rule = flag_pb2.Rule(name="Payers", conditions=[plan], rollout=rollout("off"))
    await create_flag(api, seen, "a", rules=[rule])
    await create_flag(api, seen, "b")
    assert await served(api, seen, "ada") == {"a": "off", "b": "on"}
    assert await served(api, seen, "eve") == {"a": "on", "b": "on"}

    toggle = flag_service_pb2.ToggleFlagRequest(name=f"{seen.name}/flags/b", enabled=False)
    await api.call(api.flags.ToggleFlag, toggle)
    assert await served(api, seen, "eve") == {"a": "on", "b": "off"}


async def test_the_segments_of_a_user_are_listed_with_how_it_came_in(
    api: ApiClient, seen: Environment
) -> None:
    payers = segment_resource("payers")
    rule = payers.segment.rules.add(name="Payers")
    rule.conditions.add(attribute="plan", operator=condition_pb2.OPERATOR_EQUAL, values=["pro"])
    for resource in (
        payers,
        segment_resource("beta", included=["ada"]),
        segment_resource("alpha", included=["bob"]),
    ):
        create = segment_service_pb2.CreateSegmentRequest(parent=seen.name, resource=resource)
        await api.call(api.segments.CreateSegment, create)

    request = pb.ListUserSegmentsRequest(parent=seen.name, key="ada", page=PageRequest(size=1))
    first = await api.call(api.users.ListUserSegments, request)
    request.page.token = first.next_token
    last = await api.call(api.users.ListUserSegments, request)

    listed = [(each.segment_key, each.listed) for each in (*first.segments, *last.segments)]
    assert listed == [("beta", True), ("payers", False)]
    assert not last.next_token


async def test_properties_are_listed_with_types_and_values(
    api: ApiClient, seen: Environment
) -> None:
    request = pb.ListUserPropertiesRequest(parent=seen.name)
    answer = await api.call(api.users.ListUserProperties, request)
    listed = [(each.name, each.type, list(each.values)) for each in answer.properties]
    assert listed == [
        ("age", pb.ATTRIBUTE_TYPE_NUMBER, []),
        ("groups", pb.ATTRIBUTE_TYPE_LIST, ["a", "b"]),
        ("paying", pb.ATTRIBUTE_TYPE_BOOLEAN, []),
        ("plan", pb.ATTRIBUTE_TYPE_STRING, ["pro", "free"]),
    ]


async def test_what_is_not_there_is_not_found(api: ApiClient, seen: Environment) -> None:
    for parent, key in ((NOWHERE, "ada"), (seen.name, "nobody")):
        for method, kind in (
            (api.users.GetEndUser, pb.GetEndUserRequest),
            (api.users.ListServedFlags, pb.ListServedFlagsRequest),
            (api.users.ListUserSegments, pb.ListUserSegmentsRequest),
        ):
            error = await api.refused(method, kind(parent=parent, key=key))
            assert error.code() == grpc.StatusCode.NOT_FOUND
    for method, request in (
        (api.users.SearchEndUsers, pb.SearchEndUsersRequest(parent=NOWHERE)),
        (api.users.ListUserProperties, pb.ListUserPropertiesRequest(parent=NOWHERE)),
    ):
        error = await api.refused(method, request)
        assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_a_user_without_a_key_is_refused(api: ApiClient, seen: Environment) -> None:
    for method, kind in (
        (api.users.GetEndUser, pb.GetEndUserRequest),
        (api.users.ListServedFlags, pb.ListServedFlagsRequest),
        (api.users.ListUserSegments, pb.ListUserSegmentsRequest),
    ):
        error = await api.refused(method, kind(parent=seen.name))
        assert set(violations(error)) == {"key"}


async def test_what_a_user_is_served_follows_a_store_that_went_back_to_a_backup(
    api: ApiClient, seen: Environment, store: MongoStore
) -> None:
    old = await store.resources.commit(change(seen.id, *create(flag("kept"))))
    await store.resources.commit(change(seen.id, *create(flag("lost"))))
    request = pb.ListServedFlagsRequest(parent=seen.name, key="ada")
    assert len((await api.call(api.users.ListServedFlags, request)).flags) == 2
    connection = store._connection
    await connection["flags"].delete_one({"key": "lost"})
    await connection["environments"].update_one(
        {"_id": seen.id}, {"$set": {"revision": old.revision}}
    )
    answer = await api.call(api.users.ListServedFlags, request)
    assert answer.revision == old.revision
    assert [each.result.flag_key for each in answer.flags] == ["kept"]
