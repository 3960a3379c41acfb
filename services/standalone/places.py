"""Makes the demo's organization, project, environment and keys through the API."""

from __future__ import annotations

from typing import Any, Final

from grpc import aio

from featmesh.management.v1 import (
    environment_service_pb2,
    organization_service_pb2,
    project_service_pb2,
    sdk_key_service_pb2,
)
from featmesh.management.v1.environment_service_pb2_grpc import EnvironmentServiceStub
from featmesh.management.v1.organization_service_pb2_grpc import OrganizationServiceStub
from featmesh.management.v1.project_service_pb2_grpc import ProjectServiceStub
from featmesh.management.v1.sdk_key_service_pb2_grpc import SdkKeyServiceStub
from services.standalone.calls import AlreadyThere, Caller

ORGANIZATION: Final = "organizations/demo"
PROJECT: Final = f"{ORGANIZATION}/projects/shop"
ENVIRONMENT: Final = f"{PROJECT}/environments/production"


class DemoPlaces:
    """The path to `ENVIRONMENT`; what is there is used."""

    def __init__(self, channel: aio.Channel, call: Caller) -> None:
        self._organizations: Any = OrganizationServiceStub(channel)
        self._projects: Any = ProjectServiceStub(channel)
        self._environments: Any = EnvironmentServiceStub(channel)
        self._keys: Any = SdkKeyServiceStub(channel)
        self._call = call

    async def environment(self) -> str:
        """Returns the name of the environment, made with what holds it if need be."""
        organization = organization_service_pb2.Organization(key="demo", display_name="Demo")
        await self._made(
            self._organizations.CreateOrganization,
            organization_service_pb2.CreateOrganizationRequest(organization=organization),
        )
        project = project_service_pb2.Project(key="shop", display_name="Shop")
        await self._made(
            self._projects.CreateProject,
            project_service_pb2.CreateProjectRequest(parent=ORGANIZATION, project=project),
        )
        environment = environment_service_pb2.Environment(
            key="production", display_name="Production"
        )
        await self._made(
            self._environments.CreateEnvironment,
            environment_service_pb2.CreateEnvironmentRequest(
                parent=PROJECT, environment=environment
            ),
        )
        return ENVIRONMENT

    async def sdk_key(
        self, environment: str, kind: sdk_key_service_pb2.SdkKeyKind.ValueType, display_name: str
    ) -> str:
        """Returns the secret of a new SDK key."""
        key = sdk_key_service_pb2.SdkKey(kind=kind, display_name=display_name)
        request = sdk_key_service_pb2.CreateSdkKeyRequest(parent=environment, sdk_key=key)
        response: sdk_key_service_pb2.CreateSdkKeyResponse = await self._call(
            self._keys.CreateSdkKey, request
        )
        return response.secret

    async def _made(self, method: Any, request: Any) -> None:
        try:
            await self._call(method, request)
        except AlreadyThere:  # of an earlier start
            return
