"""Environments to test in, made through the management API."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from featmesh.management.v1 import tenancy_pb2, tenancy_pb2_grpc
from tests.support.mesh import Mesh, call


@dataclass(frozen=True)
class Place:
    """An environment with a key of each kind."""

    environment: str
    server_key: str
    client_key: str


def make_place(mesh: Mesh, channel: grpc.Channel, name: str) -> Place:
    """A new organization ``name`` with one project and one environment."""
    stub = tenancy_pb2_grpc.TenancyServiceStub(channel)
    organization = call(
        stub.CreateOrganization,
        tenancy_pb2.CreateOrganizationRequest(key=name, name="Shop & Co"),
        mesh,
    ).organization
    project = call(
        stub.CreateProject,
        tenancy_pb2.CreateProjectRequest(organization_id=organization.id, key="shop", name="Shop"),
        mesh,
    ).project
    environment = call(
        stub.CreateEnvironment,
        tenancy_pb2.CreateEnvironmentRequest(project_id=project.id, key="live", name="Live"),
        mesh,
    ).environment

    def key(kind: tenancy_pb2.SdkKeyKind.ValueType) -> str:
        request = tenancy_pb2.CreateSdkKeyRequest(
            environment_id=environment.id, kind=kind, name="e2e"
        )
        return str(call(stub.CreateSdkKey, request, mesh).secret)

    return Place(
        environment.id,
        key(tenancy_pb2.SDK_KEY_KIND_SERVER),
        key(tenancy_pb2.SDK_KEY_KIND_CLIENT),
    )
