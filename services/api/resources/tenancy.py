"""TenancyService: organizations, projects, environments, SDK keys."""

# ruff: noqa: N802 -- the methods have the names that the protos give them
from __future__ import annotations

from typing import Any

from featmesh.management.v1 import tenancy_pb2 as pb
from featmesh.management.v1 import tenancy_pb2_grpc
from services.api.changes.tenancy import TenancyChanges
from services.api.rpc import limits, messages
from services.api.rpc.validation.faults import Faults
from services.api.rpc.validation.requests import check_id, check_options, page_size
from services.storage.model.credentials import SdkKeyKind
from services.storage.model.kinds import ENVIRONMENT, ORGANIZATION, PROJECT, SDK_KEY
from services.storage.model.queries import Query
from services.storage.model.resource import INSTALLATION_ID
from services.storage.ports.resources import Resources


class TenancyServicer(tenancy_pb2_grpc.TenancyServiceServicer):
    """Checks, asks the store, answers."""

    def __init__(self, resources: Resources, changes: TenancyChanges) -> None:
        self._resources = resources
        self._changes = changes

    async def CreateOrganization(
        self, request: pb.CreateOrganizationRequest, context: Any
    ) -> pb.CreateOrganizationResponse:
        faults = Faults()
        _check_named(faults, request)
        faults.finish()
        organization = await self._changes.create_organization(
            request.key, request.name, messages.mutation_of(request)
        )
        return pb.CreateOrganizationResponse(
            organization=messages.organization_message(organization)
        )

    async def ListOrganizations(
        self, request: pb.ListOrganizationsRequest, context: Any
    ) -> pb.ListOrganizationsResponse:
        faults = Faults()
        size = page_size(faults, request.page)
        faults.finish()
        page = await self._resources.list(
            ORGANIZATION, INSTALLATION_ID, Query(size, request.page.token)
        )
        return pb.ListOrganizationsResponse(
            organizations=map(messages.organization_message, page.items),
            next_token=page.next_token,
        )

    async def CreateProject(
        self, request: pb.CreateProjectRequest, context: Any
    ) -> pb.CreateProjectResponse:
        faults = Faults()
        check_id(faults, "organization_id", request.organization_id)
        _check_named(faults, request)
        faults.finish()
        project = await self._changes.create_project(
            request.organization_id, request.key, request.name, messages.mutation_of(request)
        )
        return pb.CreateProjectResponse(project=messages.project_message(project))

    async def ListProjects(
        self, request: pb.ListProjectsRequest, context: Any
    ) -> pb.ListProjectsResponse:
        faults = Faults()
        check_id(faults, "organization_id", request.organization_id)
        size = page_size(faults, request.page)
        faults.finish()
        page = await self._resources.list(
            PROJECT, request.organization_id, Query(size, request.page.token)
        )
        return pb.ListProjectsResponse(
            projects=map(messages.project_message, page.items), next_token=page.next_token
        )

    async def CreateEnvironment(
        self, request: pb.CreateEnvironmentRequest, context: Any
    ) -> pb.CreateEnvironmentResponse:
        faults = Faults()
        check_id(faults, "project_id", request.project_id)
        _check_named(faults, request)
        faults.finish()
        environment = await self._changes.create_environment(
            request.project_id, request.key, request.name, messages.mutation_of(request)
        )
        return pb.CreateEnvironmentResponse(environment=messages.environment_message(environment))

    async def GetEnvironment(
        self, request: pb.GetEnvironmentRequest, context: Any
    ) -> pb.GetEnvironmentResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        faults.finish()
        environment = await self._resources.get_by_id(ENVIRONMENT, request.environment_id)
        return pb.GetEnvironmentResponse(environment=messages.environment_message(environment))

    async def UpdateEnvironment(
        self, request: pb.UpdateEnvironmentRequest, context: Any
    ) -> pb.UpdateEnvironmentResponse:
        name, retention_days = _settings_of(request)
        environment = await self._changes.update_environment(
            request.environment_id,
            messages.mutation_of(request),
            name=name,
            retention_days=retention_days,
        )
        return pb.UpdateEnvironmentResponse(environment=messages.environment_message(environment))

    async def ListEnvironments(
        self, request: pb.ListEnvironmentsRequest, context: Any
    ) -> pb.ListEnvironmentsResponse:
        faults = Faults()
        check_id(faults, "project_id", request.project_id)
        size = page_size(faults, request.page)
        faults.finish()
        page = await self._resources.list(
            ENVIRONMENT, request.project_id, Query(size, request.page.token)
        )
        return pb.ListEnvironmentsResponse(
            environments=map(messages.environment_message, page.items),
            next_token=page.next_token,
        )

    async def DeleteEnvironment(
        self, request: pb.DeleteEnvironmentRequest, context: Any
    ) -> pb.DeleteEnvironmentResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        check_options(faults, request.options)
        faults.finish()
        await self._changes.delete_environment(
            request.environment_id, messages.mutation_of(request)
        )
        return pb.DeleteEnvironmentResponse()

    async def CreateSdkKey(
        self, request: pb.CreateSdkKeyRequest, context: Any
    ) -> pb.CreateSdkKeyResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        kind = messages.SDK_KEY_KINDS.get(request.kind)
        if kind is None:
            faults.add("kind", "must be SERVER or CLIENT")
        faults.line("name", request.name, limits.NAME_BYTES, low=1)
        check_options(faults, request.options)
        faults.finish()
        sdk_key, secret = await self._changes.create_sdk_key(
            request.environment_id,
            kind or SdkKeyKind.CLIENT,
            request.name,
            messages.mutation_of(request),
        )
        return pb.CreateSdkKeyResponse(sdk_key=messages.sdk_key_message(sdk_key), secret=secret)

    async def ListSdkKeys(
        self, request: pb.ListSdkKeysRequest, context: Any
    ) -> pb.ListSdkKeysResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        size = page_size(faults, request.page)
        faults.finish()
        page = await self._resources.list(
            SDK_KEY, request.environment_id, Query(size, request.page.token)
        )
        return pb.ListSdkKeysResponse(
            sdk_keys=map(messages.sdk_key_message, page.items), next_token=page.next_token
        )

    async def RevokeSdkKey(
        self, request: pb.RevokeSdkKeyRequest, context: Any
    ) -> pb.RevokeSdkKeyResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        check_id(faults, "sdk_key_id", request.sdk_key_id)
        check_options(faults, request.options)
        faults.finish()
        sdk_key = await self._changes.revoke_sdk_key(
            request.environment_id, request.sdk_key_id, messages.mutation_of(request)
        )
        return pb.RevokeSdkKeyResponse(sdk_key=messages.sdk_key_message(sdk_key))


def _check_named(
    faults: Faults,
    request: pb.CreateOrganizationRequest | pb.CreateProjectRequest | pb.CreateEnvironmentRequest,
) -> None:
    faults.key("key", request.key)
    faults.line("name", request.name, limits.NAME_BYTES, low=1)
    check_options(faults, request.options)


def _settings_of(request: pb.UpdateEnvironmentRequest) -> tuple[str | None, int | None]:
    """What is set in the request; raises `InvalidArgument`."""
    faults = Faults()
    check_id(faults, "environment_id", request.environment_id)
    check_options(faults, request.options)
    name = request.name if request.HasField("name") else None
    if name is not None:
        faults.line("name", name, limits.NAME_BYTES, low=1)
    days = request.retention_days if request.HasField("retention_days") else None
    if days is not None and not 1 <= days <= limits.RETENTION_DAYS:
        text = f"is {days}; it must be from 1 to {limits.RETENTION_DAYS} days"
        faults.add("retention_days", text)
    faults.finish()
    return name, days
