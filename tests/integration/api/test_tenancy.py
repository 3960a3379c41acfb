from __future__ import annotations

import grpc

from featmesh.management.v1 import tenancy_pb2 as pb
from featmesh.management.v1.mutation_pb2 import PageRequest
from services.runtime.secrets import hash_secret
from services.storage.model.credentials import SdkKeyKind
from services.storage.mongodb import MongoStore
from tests.support.api import ApiClient
from tests.support.resources import Environment
from tests.support.statuses import error_info, violations

UNKNOWN = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


async def test_an_environment_is_made_in_a_project_of_an_organization(api: ApiClient) -> None:
    stub = api.tenancy
    organization = (
        await api.call(
            stub.CreateOrganization, pb.CreateOrganizationRequest(key="shop", name="Shop")
        )
    ).organization
    create = pb.CreateProjectRequest(organization_id=organization.id, key="web", name="Web")
    project = (await api.call(stub.CreateProject, create)).project
    request = pb.CreateEnvironmentRequest(project_id=project.id, key="live", name="Live")
    environment = (await api.call(stub.CreateEnvironment, request)).environment

    get = pb.GetEnvironmentRequest(environment_id=environment.id)
    assert (await api.call(stub.GetEnvironment, get)).environment == environment
    organizations = await api.call(stub.ListOrganizations, pb.ListOrganizationsRequest())
    assert list(organizations.organizations) == [organization]
    projects = pb.ListProjectsRequest(organization_id=organization.id)
    assert list((await api.call(stub.ListProjects, projects)).projects) == [project]
    environments = pb.ListEnvironmentsRequest(project_id=project.id)
    assert list((await api.call(stub.ListEnvironments, environments)).environments) == [environment]


async def test_an_environment_keeps_events_for_30_days_or_as_long_as_it_is_told(
    api: ApiClient, environment: Environment
) -> None:
    get = pb.GetEnvironmentRequest(environment_id=environment.id)
    before = (await api.call(api.tenancy.GetEnvironment, get)).environment
    assert before.retention_days == 30

    request = pb.UpdateEnvironmentRequest(environment_id=environment.id, retention_days=3_650)
    updated = (await api.call(api.tenancy.UpdateEnvironment, request)).environment

    assert (updated.retention_days, updated.name) == (3_650, before.name)
    assert updated.revision == before.revision
    assert (await api.call(api.tenancy.GetEnvironment, get)).environment == updated


async def test_an_environment_is_renamed_and_its_retention_stays(
    api: ApiClient, environment: Environment
) -> None:
    for fields in ({"retention_days": 7}, {"name": "Live"}):
        request = pb.UpdateEnvironmentRequest(environment_id=environment.id, **fields)
        updated = (await api.call(api.tenancy.UpdateEnvironment, request)).environment
    assert (updated.retention_days, updated.name) == (7, "Live")


async def test_a_retention_beyond_its_limits_is_refused(
    api: ApiClient, environment: Environment
) -> None:
    for days in (-1, 0, 3_651):
        request = pb.UpdateEnvironmentRequest(
            environment_id=environment.id, retention_days=days, name=""
        )
        error = await api.refused(api.tenancy.UpdateEnvironment, request)
        assert set(violations(error)) == {"retention_days", "name"}


async def test_a_taken_key_already_exists(api: ApiClient) -> None:
    request = pb.CreateOrganizationRequest(key="shop", name="Shop")
    await api.call(api.tenancy.CreateOrganization, request)
    error = await api.refused(api.tenancy.CreateOrganization, request)
    assert error.code() == grpc.StatusCode.ALREADY_EXISTS


async def test_all_broken_fields_are_listed(api: ApiClient) -> None:
    request = pb.CreateProjectRequest(key="no spaces", name="x" * 257)
    error = await api.refused(api.tenancy.CreateProject, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(error).reason == "INVALID_ARGUMENT"
    assert error_info(error).domain == "featmesh"
    assert set(violations(error)) == {"organization_id", "key", "name"}


async def test_names_hold_no_control_characters_and_are_counted_in_bytes(api: ApiClient) -> None:
    for name in ("two\nlines", "é" * 129):
        request = pb.CreateOrganizationRequest(key="shop", name=name)
        error = await api.refused(api.tenancy.CreateOrganization, request)
        assert set(violations(error)) == {"name"}


async def test_unknown_parents_are_not_found(api: ApiClient) -> None:
    stub = api.tenancy
    for method, request in (
        (stub.CreateProject, pb.CreateProjectRequest(organization_id=UNKNOWN, key="k", name="n")),
        (
            stub.CreateEnvironment,
            pb.CreateEnvironmentRequest(project_id=UNKNOWN, key="k", name="n"),
        ),
        (stub.GetEnvironment, pb.GetEnvironmentRequest(environment_id=UNKNOWN)),
        (stub.UpdateEnvironment, pb.UpdateEnvironmentRequest(environment_id=UNKNOWN)),
        (stub.ListSdkKeys, pb.ListSdkKeysRequest(environment_id=UNKNOWN)),
        (stub.RevokeSdkKey, pb.RevokeSdkKeyRequest(environment_id=UNKNOWN, sdk_key_id=UNKNOWN)),
    ):
        error = await api.refused(method, request)
        assert error.code() == grpc.StatusCode.NOT_FOUND, method


async def test_an_sdk_keys_secret_is_shown_once_and_stored_as_a_hash(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    request = pb.CreateSdkKeyRequest(
        environment_id=environment.id, kind=pb.SDK_KEY_KIND_CLIENT, name="Browser"
    )
    created = await api.call(api.tenancy.CreateSdkKey, request)
    found = await store.credentials.find_sdk_key(hash_secret(created.secret))
    listed = await api.call(
        api.tenancy.ListSdkKeys, pb.ListSdkKeysRequest(environment_id=environment.id)
    )

    assert created.secret.startswith("fmc_")
    assert created.secret.endswith(created.sdk_key.last_characters)
    assert found is not None
    assert found.content.kind is SdkKeyKind.CLIENT
    assert list(listed.sdk_keys) == [created.sdk_key]


async def test_revoking_an_sdk_key_twice_keeps_the_first_time(
    api: ApiClient, environment: Environment
) -> None:
    create = pb.CreateSdkKeyRequest(
        environment_id=environment.id, kind=pb.SDK_KEY_KIND_SERVER, name="Server"
    )
    created = await api.call(api.tenancy.CreateSdkKey, create)
    request = pb.RevokeSdkKeyRequest(environment_id=environment.id, sdk_key_id=created.sdk_key.id)
    first = await api.call(api.tenancy.RevokeSdkKey, request)
    assert first.sdk_key.HasField("revoked_at")
    assert await api.call(api.tenancy.RevokeSdkKey, request) == first


async def test_a_key_needs_a_kind_and_a_page_a_size_within_its_limits(
    api: ApiClient, environment: Environment
) -> None:
    create = pb.CreateSdkKeyRequest(environment_id=environment.id, name="No kind")
    assert set(violations(await api.refused(api.tenancy.CreateSdkKey, create))) == {"kind"}

    request = pb.ListOrganizationsRequest(page=PageRequest(size=501, token="?"))
    error = await api.refused(api.tenancy.ListOrganizations, request)
    assert set(violations(error)) == {"page.size"}


async def test_an_oversized_message_is_an_invalid_argument(api: ApiClient) -> None:
    request = pb.CreateOrganizationRequest(key="k", name="x" * (1024 * 1024))
    error = await api.refused(api.tenancy.CreateOrganization, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(error)) == {"request"}
