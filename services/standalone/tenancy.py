"""Finds or creates the demo's organization, project and environment through the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol, TypeVar

from grpc import aio

from featmesh.management.v1 import tenancy_pb2 as pb
from featmesh.management.v1.mutation_pb2 import PageRequest
from featmesh.management.v1.tenancy_pb2_grpc import TenancyServiceStub
from services.standalone.calls import Caller

ORGANIZATION: Final = ("demo", "Demo")
PROJECT: Final = ("shop", "Shop")
ENVIRONMENT: Final = ("production", "Production")


class Keyed(Protocol):
    """An organization, a project or an environment."""

    id: str
    key: str


K = TypeVar("K", bound=Keyed)
Listing = Callable[[PageRequest], Awaitable[tuple[Iterable[K], str]]]


class DemoTenancy:
    """The path ``demo/shop/production``; what is there is used."""

    def __init__(self, channel: aio.Channel, call: Caller) -> None:
        self._stub: Any = TenancyServiceStub(channel)
        self._call = call

    async def environment(self) -> str:
        """Id of the environment, made with its parents if need be."""
        return await self._environment(await self._project(await self._organization()))

    async def sdk_key(self, environment_id: str, kind: pb.SdkKeyKind.ValueType, name: str) -> str:
        """The secret of a new SDK key."""
        request = pb.CreateSdkKeyRequest(environment_id=environment_id, kind=kind, name=name)
        response: pb.CreateSdkKeyResponse = await self._call(self._stub.CreateSdkKey, request)
        return response.secret

    async def _organization(self) -> str:
        key, name = ORGANIZATION

        async def page(asked: PageRequest) -> tuple[Iterable[pb.Organization], str]:
            request = pb.ListOrganizationsRequest(page=asked)
            response: pb.ListOrganizationsResponse = await self._call(
                self._stub.ListOrganizations, request
            )
            return response.organizations, response.next_token

        if found := await _find(page, key):
            return found.id
        request = pb.CreateOrganizationRequest(key=key, name=name)
        made: pb.CreateOrganizationResponse = await self._call(
            self._stub.CreateOrganization, request
        )
        return made.organization.id

    async def _project(self, organization_id: str) -> str:
        key, name = PROJECT

        async def page(asked: PageRequest) -> tuple[Iterable[pb.Project], str]:
            request = pb.ListProjectsRequest(organization_id=organization_id, page=asked)
            response: pb.ListProjectsResponse = await self._call(self._stub.ListProjects, request)
            return response.projects, response.next_token

        if found := await _find(page, key):
            return found.id
        request = pb.CreateProjectRequest(organization_id=organization_id, key=key, name=name)
        made: pb.CreateProjectResponse = await self._call(self._stub.CreateProject, request)
        return made.project.id

    async def _environment(self, project_id: str) -> str:
        key, name = ENVIRONMENT

        async def page(asked: PageRequest) -> tuple[Iterable[pb.Environment], str]:
            request = pb.ListEnvironmentsRequest(project_id=project_id, page=asked)
            response: pb.ListEnvironmentsResponse = await self._call(
                self._stub.ListEnvironments, request
            )
            return response.environments, response.next_token

        if found := await _find(page, key):
            return found.id
        request = pb.CreateEnvironmentRequest(project_id=project_id, key=key, name=name)
        made: pb.CreateEnvironmentResponse = await self._call(self._stub.CreateEnvironment, request)
        return made.environment.id


async def _find(listing: Listing[K], key: str) -> K | None:
    token = ""
    while True:
        items, token = await listing(PageRequest(token=token))
        for item in items:
            if item.key == key:
                return item
        if not token:
            return None
