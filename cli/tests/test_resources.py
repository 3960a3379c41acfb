from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from featmesh.management.v1 import (
    environment_service_pb2,
    flag_service_pb2,
    organization_service_pb2,
    project_service_pb2,
    sdk_key_service_pb2,
    segment_service_pb2,
)
from featmesh.management.v1.page_pb2 import VIEW_BASIC, VIEW_FULL

from .fake_api import ENVIRONMENT, Api, Refusal

UUID = "0b4e91cc-3a71-4f6f-9d3a-0c4e6b0a7d55"
PROJECT = "organizations/acme/projects/shop"


def flag(key: str, *, enabled: bool = True, version: int = 4) -> flag_service_pb2.FlagResource:
    made = flag_service_pb2.FlagResource(name=f"{ENVIRONMENT}/flags/{key}", display_name=key)
    made.flag.key, made.flag.enabled = key, enabled
    made.meta.version, made.meta.revision = version, 78
    return made


def environment() -> environment_service_pb2.Environment:
    made = environment_service_pb2.Environment(
        name=ENVIRONMENT, key="live", display_name="Live", revision=9, retention_days=30
    )
    made.meta.version = 3
    return made


def get_environment(_: Any) -> environment_service_pb2.GetEnvironmentResponse:
    return environment_service_pb2.GetEnvironmentResponse(environment=environment())


def update_environment(request: Any) -> environment_service_pb2.UpdateEnvironmentResponse:
    stored = environment()
    stored.MergeFrom(request.environment)
    return environment_service_pb2.UpdateEnvironmentResponse(environment=stored)


def list_flags(request: Any) -> flag_service_pb2.ListFlagsResponse:
    keys = ("first", "second", "third")
    place = int(request.page.token or 0)
    return flag_service_pb2.ListFlagsResponse(
        resources=[flag(keys[place])], next_token=str(place + 1) if place + 1 < len(keys) else ""
    )


def test_a_list_follows_every_page_as_a_table_and_as_json(api: Api) -> None:
    api.answers["ListFlags"] = list_flags
    table = api.printed("flags", "list")
    assert [line.split()[0] for line in table.splitlines()] == ["KEY", "first", "second", "third"]
    document = json.loads(api.printed("flags", "list", "--json"))
    assert [item["flag"]["key"] for item in document] == ["first", "second", "third"]


def test_a_list_is_cut_where_it_is_told_and_says_so(api: Api) -> None:
    api.answers["ListFlags"] = list_flags
    result = api.run("flags", "list", "--limit", "2")
    assert len(result.stdout.splitlines()) == 3
    assert result.stderr == "The first 2; there may be more.\n"


def test_a_list_is_narrowed_and_sorted_by_the_server(api: Api) -> None:
    narrowed = ("--filter", "enabled = true OR archived = true", "--tag", 'a "b"')
    api.printed("flags", "list", "--archived", "--order-by", "updated_at desc", *narrowed)
    request = api.only("ListFlags")
    assert request.filter == '(enabled = true OR archived = true) AND tags:"a \\"b\\""'
    assert (request.order_by, request.include_archived) == ("updated_at desc", True)


def test_a_table_asks_for_less_than_json(api: Api) -> None:
    api.printed("segments", "list")
    api.printed("segments", "list", "--json")
    assert [each.view for each in api.requests["ListSegments"]] == [VIEW_BASIC, VIEW_FULL]


def test_a_table_of_segments_shows_counts(api: Api) -> None:
    resource = segment_service_pb2.SegmentResource(display_name="Beta")
    resource.segment.key, resource.counts.included = "beta", 40_000
    api.answers["ListSegments"] = segment_service_pb2.ListSegmentsResponse(resources=[resource])
    row = api.printed("segments", "list").splitlines()[1]
    assert row.split()[:5] == ["beta", "active", "40000", "0", "0"]


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("dark", f"{ENVIRONMENT}/flags/dark"),
        (UUID, f"{ENVIRONMENT}/flags/{UUID}"),
        ("organizations/b/projects/c/environments/d/flags/e",) * 2,
    ],
)
def test_a_flag_is_named_by_key_id_or_full_name(api: Api, given: str, asked: str) -> None:
    api.printed("flags", "get", given)
    assert api.only("GetFlag").name == asked


def test_the_environment_may_be_named_by_its_id(api: Api) -> None:
    assert api.run("flags", "list", FEATMESH_ENVIRONMENT=UUID).exit_code == 0
    assert api.only("ListFlags").parent == f"organizations/-/projects/-/environments/{UUID}"


def test_a_bare_key_of_an_environment_is_refused_with_the_form_of_a_name(api: Api) -> None:
    refusal = api.refused("flags", "list", "--environment", "live")
    assert refusal == (
        "Error: 'live' names none of the environments: give organizations/<key>/projects/<key>"
        "/environments/<key>, or its UUID\n"
    )


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (("shop", "--organization", "acme"), PROJECT),
        (("shop", "--organization", "organizations/acme"), PROJECT),
        ((PROJECT,), PROJECT),
        ((UUID,), f"organizations/-/projects/{UUID}"),
    ],
)
def test_a_project_is_named_within_its_organization_or_in_full(
    api: Api, arguments: tuple[str, ...], asked: str
) -> None:
    api.printed("projects", "get", *arguments)
    assert api.only("GetProject").name == asked


def test_a_new_project_has_its_key_for_a_name_and_its_full_name_is_printed(api: Api) -> None:
    made = project_service_pb2.Project(name=PROJECT)
    api.answers["CreateProject"] = project_service_pb2.CreateProjectResponse(project=made)
    assert api.printed("projects", "create", "shop", "--organization", "acme") == f"{PROJECT}\n"
    request = api.only("CreateProject")
    assert request.parent == "organizations/acme"
    assert (request.project.key, request.project.display_name) == ("shop", "shop")


def test_an_organization_is_renamed_and_deleted(api: Api) -> None:
    stored = organization_service_pb2.Organization(name="organizations/acme")
    stored.meta.version = 2
    api.answers["GetOrganization"] = organization_service_pb2.GetOrganizationResponse(
        organization=stored
    )
    api.printed("organizations", "update", "acme", "--name", "Acme Ltd", "--comment", "sold")
    request = api.only("UpdateOrganization")
    assert request.organization.display_name == "Acme Ltd"
    assert request.options.comment == "sold"
    assert api.printed("organizations", "delete", "acme") == "acme is deleted.\n"
    assert api.only("DeleteOrganization").name == "organizations/acme"


def test_an_update_replaces_what_is_given_of_the_version_that_was_read(api: Api) -> None:
    api.answers["GetEnvironment"] = get_environment
    api.answers["UpdateEnvironment"] = update_environment
    assert "7 days" in api.printed("environments", "update", "--retention-days", "7")
    request = api.only("UpdateEnvironment")
    assert list(request.update_mask.paths) == ["retention_days"]
    assert (request.environment.name, request.base_version) == (ENVIRONMENT, 3)
    assert not request.environment.display_name


def test_an_update_of_what_has_changed_meanwhile_says_what_to_do(api: Api) -> None:
    api.answers["GetEnvironment"] = get_environment
    api.answers["UpdateEnvironment"] = Refusal(grpc.StatusCode.ABORTED, "it is at version 4")
    refusal = api.refused("environments", "update", "--name", "x")
    assert "look at it again, then repeat this: it is at version 4" in refusal


def test_an_update_without_anything_names_what_can_be_changed(api: Api) -> None:
    refusal = api.refused("environments", "update", code=2)
    assert "nothing to change: give --name or --retention-days" in refusal


def test_a_number_beyond_the_contract_s_limit_is_refused_before_it_is_sent(api: Api) -> None:
    assert "1<=x<=3650" in api.refused("environments", "update", "--retention-days", "3651", code=2)
    assert not api.requests


def test_an_environment_is_deleted_only_when_that_is_confirmed(api: Api) -> None:
    api.answers["GetEnvironment"] = get_environment
    assert f"Delete Live ({ENVIRONMENT}) with its" in api.refused(
        "environments", "delete", ENVIRONMENT
    )
    assert not api.requests["DeleteEnvironment"]
    told = api.printed("environments", "delete", ENVIRONMENT, "--yes")
    assert told == f"{ENVIRONMENT} is deleted.\n"
    assert api.only("DeleteEnvironment").name == ENVIRONMENT


def test_show_and_get_are_one_for_the_usual_environment(api: Api) -> None:
    api.answers["GetEnvironment"] = get_environment
    assert api.printed("environments", "show") == api.printed("environments", "get")
    assert json.loads(api.printed("environments", "show", "--json"))["retention_days"] == 30


def test_the_secret_of_a_new_key_is_all_that_another_program_reads(api: Api) -> None:
    answer = sdk_key_service_pb2.CreateSdkKeyResponse(secret="fms_secret")
    answer.sdk_key.name = f"{ENVIRONMENT}/sdkKeys/k1"
    api.answers["CreateSdkKey"] = answer
    result = api.run("keys", "create", "Till", "--kind", "client")
    assert result.stdout == "fms_secret\n"
    assert result.stderr == f"{answer.sdk_key.name}; its secret is shown only now:\n"
    request = api.only("CreateSdkKey")
    assert (request.parent, request.sdk_key.display_name) == (ENVIRONMENT, "Till")
    assert request.sdk_key.kind == sdk_key_service_pb2.SDK_KEY_KIND_CLIENT


def test_a_key_is_revoked_shown_and_deleted_by_its_id(api: Api) -> None:
    answer = sdk_key_service_pb2.RevokeSdkKeyResponse()
    answer.sdk_key.display_name, answer.sdk_key.last_characters = "Till", "cret"
    api.answers["RevokeSdkKey"] = answer
    assert api.printed("keys", "revoke", "k1") == "Till (…cret) is revoked.\n"
    api.printed("keys", "get", "k1")
    api.printed("keys", "delete", "k1")
    for method in ("RevokeSdkKey", "GetSdkKey", "DeleteSdkKey"):
        assert api.only(method).name == f"{ENVIRONMENT}/sdkKeys/k1"


def test_a_name_that_is_made_to_deceive_is_shown_as_what_it_is(api: Api) -> None:
    made = flag("dark")
    made.display_name = "a\x1b[31mb\u202ec \N{FAMILY}\u200d"
    api.answers["ListFlags"] = flag_service_pb2.ListFlagsResponse(resources=[made])
    assert "a\\u001b[31mb\\u202ec \N{FAMILY}\u200d" in api.printed("flags", "list")
    (shown,) = json.loads(api.printed("flags", "list", "--json"))
    assert shown["display_name"] == made.display_name
