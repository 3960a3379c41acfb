"""All four data flows through real processes: a day in the life of an operator and two SDKs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import grpc
import pytest

import featmesh
from featmesh.management.v1 import (
    flag_service_pb2,
    flag_service_pb2_grpc,
    insight_service_pb2,
    insight_service_pb2_grpc,
    segment_service_pb2,
    segment_service_pb2_grpc,
    tenancy_pb2,
    tenancy_pb2_grpc,
)
from tests.support.mesh import ROOT, Mesh, call, standalone, three_services
from tests.support.mongodb import fresh_database_name
from tests.support.waiting import PATIENCE, eventually


@dataclass(frozen=True)
class RealInput:
    """An export, a boolean flag in it that serves a rule or fallthrough, and a segment."""

    folder: Path
    flag: str
    segment_flag: str
    segment: str
    member_value: object
    other_value: object


SHARED: Final = ROOT.parent / "shared" / "data" / "featbit"
SHOP: Final = ROOT / "examples" / "shop"


@pytest.fixture(scope="module", params=["three-services", "standalone"])
def mesh(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp(str(request.param))
    if request.param == "standalone":
        running = standalone(folder)
    else:
        running = three_services(
            folder,
            mongodb=request.getfixturevalue("mongodb_uri"),
            database=fresh_database_name(),
            amqp=request.getfixturevalue("amqp_url"),
        )
    try:
        running.start()
        yield running
    finally:
        codes = running.stop()
    assert codes == [0] * len(codes), "every service stops cleanly on SIGTERM"


@dataclass(frozen=True)
class Place:
    """An environment with a key of each kind."""

    environment: str
    server_key: str
    client_key: str


def make_place(mesh: Mesh, channel: grpc.Channel, name: str) -> Place:
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

    def key(kind: tenancy_pb2.SdkKeyKind) -> str:
        request = tenancy_pb2.CreateSdkKeyRequest(
            environment_id=environment.id, kind=kind, name="e2e"
        )
        return str(call(stub.CreateSdkKey, request, mesh).secret)

    return Place(
        environment.id,
        key(tenancy_pb2.SDK_KEY_KIND_SERVER),
        key(tenancy_pb2.SDK_KEY_KIND_CLIENT),
    )
