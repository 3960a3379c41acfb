from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from featmesh.management.v1 import environment_service_pb2 as pb
from featmesh.management.v1 import flag_service_pb2, sdk_key_service_pb2
from featmesh.management.v1 import organization_service_pb2 as organizations
from featmesh.management.v1 import project_service_pb2 as projects
from tests.support.api import ApiClient, flag_resource
from tests.support.resources import Environment
from tests.support.statuses import violations

UNKNOWN = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


async def get(api: ApiClient, name: str) -> pb.Environment:
    answer: pb.GetEnvironmentResponse = await api.call(
        api.environments.GetEnvironment, pb.GetEnvironmentRequest(name=name)
    )
    return answer.environment


def update(environment: pb.Environment, **fields: Any) -> pb.UpdateEnvironmentRequest:
    return pb.UpdateEnvironmentRequest(
        environment=pb.Environment(name=environment.name, **fields),
        update_mask=FieldMask(paths=fields),
        base_version=environment.meta.version,
    )


async def test_an_environment_is_made_in_a_project_of_an_organization(api: ApiClient) -> None:
    organization = organizations.Organization(key="shop", display_name="Shop")
    create = organizations.CreateOrganizationRequest(organization=organization)
    owner = (await api.call(api.organizations.CreateOrganization, create)).organization
    project = projects.Project(key="web", display_name="Web")
    add = projects.CreateProjectRequest(parent=owner.name, project=project)
    holder = (await api.call(api.projects.CreateProject, add)).project
    request = pb.CreateEnvironmentRequest(
        parent=holder.name, environment=pb.Environment(key="live", display_name="Live")
    )
    made = (await api.call(api.environments.CreateEnvironment, request)).environment

    assert made.name == "organizations/shop/projects/web/environments/live"
    assert made.revision > 0
    assert await get(api, made.name) == made
    listing = pb.ListEnvironmentsRequest(parent=holder.name)
    listed = await api.call(api.environments.ListEnvironments, listing)
    assert (list(listed.environments), listed.total_size) == ([made], 1)


async def test_an_environment_keeps_events_for_30_days_or_as_long_as_it_is_told(
    api: ApiClient, environment: Environment
) -> None:
    before = await get(api, environment.name)
    assert before.retention_days == 30

    request = update(before, retention_days=3_650)
    updated = (await api.call(api.environments.UpdateEnvironment, request)).environment

    assert (updated.retention_days, updated.display_name) == (3_650, before.display_name)
    assert updated.revision == before.revision
    assert await get(api, environment.name) == updated


async def test_an_environment_is_renamed_and_its_retention_stays(
    api: ApiClient, environment: Environment
) -> None:
    updated = await get(api, environment.name)
    for fields in ({"retention_days": 7}, {"display_name": "Live"}):
        request = update(updated, **fields)
        updated = (await api.call(api.environments.UpdateEnvironment, request)).environment
    assert (updated.retention_days, updated.display_name) == (7, "Live")


async def test_a_retention_beyond_its_limits_is_refused(
    api: ApiClient, environment: Environment
) -> None:
    before = await get(api, environment.name)
    for days in (-1, 3_651):
        request = update(before, retention_days=days, display_name="")
        error = await api.refused(api.environments.UpdateEnvironment, request)
        assert set(violations(error)) == {
            "environment.retention_days",
            "environment.display_name",
        }


async def test_unknown_parents_are_not_found(api: ApiClient, environment: Environment) -> None:
    unknown = f"organizations/-/projects/-/environments/{UNKNOWN}"
    project = projects.Project(key="k", display_name="n")
    made = pb.Environment(key="k", display_name="n")
    renamed = pb.Environment(name=unknown, display_name="n")
    keys = f"{unknown}/sdkKeys/{UNKNOWN}"
    for method, request in (
        (
            api.projects.CreateProject,
            projects.CreateProjectRequest(parent=f"organizations/{UNKNOWN}", project=project),
        ),
        (
            api.environments.CreateEnvironment,
            pb.CreateEnvironmentRequest(
                parent=f"organizations/acme/projects/{UNKNOWN}", environment=made
            ),
        ),
        (api.environments.GetEnvironment, pb.GetEnvironmentRequest(name=unknown)),
        (
            api.environments.UpdateEnvironment,
            pb.UpdateEnvironmentRequest(environment=renamed, base_version=1),
        ),
        (api.sdk_keys.ListSdkKeys, sdk_key_service_pb2.ListSdkKeysRequest(parent=unknown)),
        (api.sdk_keys.RevokeSdkKey, sdk_key_service_pb2.RevokeSdkKeyRequest(name=keys)),
    ):
        error = await api.refused(method, request)
        assert error.code() == grpc.StatusCode.NOT_FOUND, request


async def test_an_environment_is_deleted_with_all_that_it_holds(
    api: ApiClient, environment: Environment
) -> None:
    create = flag_service_pb2.CreateFlagRequest(
        parent=environment.name, resource=flag_resource("f")
    )
    await api.call(api.flags.CreateFlag, create)
    stale = pb.DeleteEnvironmentRequest(name=environment.name, base_version=2)
    error = await api.refused(api.environments.DeleteEnvironment, stale)
    assert error.code() == grpc.StatusCode.ABORTED

    delete = pb.DeleteEnvironmentRequest(name=environment.name, base_version=1)
    await api.call(api.environments.DeleteEnvironment, delete)
    gone = flag_service_pb2.GetFlagRequest(name=f"{environment.name}/flags/f")
    missing = await api.refused(api.flags.GetFlag, gone)
    assert missing.code() == grpc.StatusCode.NOT_FOUND
