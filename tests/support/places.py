"""Environments to test in, made through the management API."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from featmesh.management.v1 import (
    environment_service_pb2,
    environment_service_pb2_grpc,
    organization_service_pb2,
    organization_service_pb2_grpc,
    project_service_pb2,
    project_service_pb2_grpc,
    sdk_key_service_pb2,
    sdk_key_service_pb2_grpc,
)
from tests.support.mesh import Mesh, call


@dataclass(frozen=True)
class Place:
    """An environment with a key of each kind."""

    environment: str
    """Its full name."""
    environment_id: str
    """Its UUID, by which metrics, messages and the store know it."""
    server_key: str
    client_key: str

    def flag(self, key: str) -> str:
        """Full name of a flag."""
        return f"{self.environment}/flags/{key}"

    def segment(self, key: str) -> str:
        """Full name of a segment."""
        return f"{self.environment}/segments/{key}"


def make_place(mesh: Mesh, channel: grpc.Channel, name: str) -> Place:
    """A new organization ``name`` with one project and one environment."""
    environment = _make_environment(mesh, channel, name)
    return Place(
        environment.name,
        environment.meta.id,
        _make_key(mesh, channel, environment.name, sdk_key_service_pb2.SDK_KEY_KIND_SERVER),
        _make_key(mesh, channel, environment.name, sdk_key_service_pb2.SDK_KEY_KIND_CLIENT),
    )


def _make_environment(
    mesh: Mesh, channel: grpc.Channel, name: str
) -> environment_service_pb2.Environment:
    organization = organization_service_pb2.CreateOrganizationRequest(
        organization=organization_service_pb2.Organization(key=name, display_name="Shop & Co")
    )
    organizations = organization_service_pb2_grpc.OrganizationServiceStub(channel)
    owner = call(organizations.CreateOrganization, organization, mesh).organization
    project = project_service_pb2.CreateProjectRequest(
        parent=owner.name, project=project_service_pb2.Project(key="shop", display_name="Shop")
    )
    projects = project_service_pb2_grpc.ProjectServiceStub(channel)
    holder = call(projects.CreateProject, project, mesh).project
    environment = environment_service_pb2.CreateEnvironmentRequest(
        parent=holder.name,
        environment=environment_service_pb2.Environment(key="live", display_name="Live"),
    )
    environments = environment_service_pb2_grpc.EnvironmentServiceStub(channel)
    made: environment_service_pb2.Environment = call(
        environments.CreateEnvironment, environment, mesh
    ).environment
    return made


def _make_key(
    mesh: Mesh,
    channel: grpc.Channel,
    environment: str,
    kind: sdk_key_service_pb2.SdkKeyKind.ValueType,
) -> str:
    request = sdk_key_service_pb2.CreateSdkKeyRequest(
        parent=environment, sdk_key=sdk_key_service_pb2.SdkKey(kind=kind, display_name="e2e")
    )
    stub = sdk_key_service_pb2_grpc.SdkKeyServiceStub(channel)
    return str(call(stub.CreateSdkKey, request, mesh).secret)
