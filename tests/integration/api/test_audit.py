from __future__ import annotations

import json

import pytest

from featmesh.management.v1 import audit_service_pb2 as pb
from featmesh.management.v1 import flag_service_pb2
from featmesh.management.v1.page_pb2 import PageRequest
from featmesh.management.v1.resource_pb2 import ACTOR_KIND_TOKEN
from services.api.read.audit import ENTRIES_WITH_CONTENTS
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, new_secret
from services.storage.model.credentials import RoleGrant
from services.storage.model.resource import Scope
from services.storage.mongodb import MongoStore
from tests.support.api import ACTOR, ApiClient, flag_resource
from tests.support.resources import Environment, make_access_token, make_environment
from tests.support.statuses import error_info, violations


async def make_flag(api: ApiClient, environment: Environment, key: str) -> str:
    """A flag; its name."""
    resource = flag_resource(key, enabled=True)
    request = flag_service_pb2.CreateFlagRequest(parent=environment.name, resource=resource)
    await api.call(api.flags.CreateFlag, request)
    return f"{environment.name}/flags/{key}"


async def turn_off(api: ApiClient, name: str) -> None:
    request = flag_service_pb2.ToggleFlagRequest(name=name, enabled=False)
    await api.call(api.flags.ToggleFlag, request)


async def entries(
    api: ApiClient, parent: str, wanted: str = "", *, contents: bool = False
) -> list[pb.AuditEntry]:
    request = pb.ListAuditEntriesRequest(parent=parent, filter=wanted, contents=contents)
    found: list[pb.AuditEntry] = []
    while True:
        answer = await api.call(api.audit.ListAuditEntries, request)
        found += answer.entries
        request.page.token = answer.next_token
        if not answer.next_token:
            return found


def told(found: list[pb.AuditEntry]) -> list[tuple[str, str]]:
    return [(each.resource.rpartition("/")[2], each.operation) for each in found]


async def test_entries_are_filtered_by_resource_actor_and_operation(
    api: ApiClient, environment: Environment
) -> None:
    name = await make_flag(api, environment, "a")
    await make_flag(api, environment, "ab")
    await turn_off(api, name)
    toggled = ("a", "toggle")
    everything = await entries(api, environment.name)
    assert told(everything) == [toggled, ("ab", "create"), ("a", "create")]
    assert everything[0].actor.kind == ACTOR_KIND_TOKEN
    assert everything[0].actor.display_name == ACTOR
    actor = everything[0].actor.id
    of_flag = await entries(api, environment.name, f'resource = "{name}"')
    assert told(of_flag) == [toggled, ("a", "create")]
    wanted = f'resource = "{name}" AND operation = toggle AND actor = "{actor}"'
    assert told(await entries(api, environment.name, wanted)) == [toggled]
    assert told(await entries(api, environment.name, "actor = nobody")) == []


async def test_entries_of_a_place_are_those_of_all_below_it_and_of_the_installation_all(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    other = await make_environment(store, environment.project_id, "staging")
    await make_flag(api, environment, "a")
    await make_flag(api, other, "b")
    project = environment.name.rpartition("/environments")[0]
    flags = "operation = create AND resource = "
    assert told(await entries(api, project, f'{flags}"{other.name}/flags/b"')) == [("b", "create")]
    assert told(await entries(api, environment.name, f'{flags}"{other.name}/flags/b"')) == []
    assert {("a", "create"), ("b", "create")} <= set(told(await entries(api, "")))


async def test_contents_are_shown_when_asked_for_and_twenty_at_a_time(
    api: ApiClient, environment: Environment
) -> None:
    name = await make_flag(api, environment, "a")
    await turn_off(api, name)
    wanted = f'resource = "{name}"'
    plain = await entries(api, environment.name, wanted)
    assert not any(each.before_json or each.after_json for each in plain)
    toggled, created = await entries(api, environment.name, wanted, contents=True)
    assert not created.before_json
    assert toggled.before_json == created.after_json
    assert json.loads(toggled.after_json) != json.loads(toggled.before_json)
    assert (toggled.version_before, toggled.version_after) == (1, 2)

    for number in range(ENTRIES_WITH_CONTENTS):
        await make_flag(api, environment, f"f{number}")
    request = pb.ListAuditEntriesRequest(
        parent=environment.name, contents=True, page=PageRequest(size=100)
    )
    answer = await api.call(api.audit.ListAuditEntries, request)
    assert len(answer.entries) == ENTRIES_WITH_CONTENTS
    assert answer.next_token


@pytest.mark.parametrize(
    "wanted",
    [
        "colour = red",
        'operation != "toggle"',
        "operation:tog",
        "operation = create OR operation = toggle",
        "operation = create AND operation = toggle",
        'actor = ""',
        "operation = " + "x" * 2_048,
    ],
)
async def test_a_filter_that_the_log_cannot_answer_is_refused(
    api: ApiClient, environment: Environment, wanted: str
) -> None:
    request = pb.ListAuditEntriesRequest(parent=environment.name, filter=wanted)
    error = await api.refused(api.audit.ListAuditEntries, request)
    assert list(violations(error)) == ["filter"]


async def test_the_log_of_the_installation_is_not_for_who_sees_one_environment(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    secret = new_secret(ACCESS_TOKEN)
    viewer = RoleGrant("VIEWER", Scope.ENVIRONMENT, environment.id)
    await make_access_token(store, "viewer", hash_secret(secret), viewer)
    client = api.with_secret(secret)
    assert told(await entries(client, environment.name)) == []
    error = await client.refused(client.audit.ListAuditEntries, pb.ListAuditEntriesRequest())
    assert error_info(error).reason == "PERMISSION_DENIED"
