"""All four data flows through real processes: a day in the life of an operator and two SDKs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import grpc
import pytest

import featmesh
from featmesh.management.v1 import (
    end_user_service_pb2,
    end_user_service_pb2_grpc,
    report_service_pb2,
    report_service_pb2_grpc,
    segment_service_pb2,
    segment_service_pb2_grpc,
)
from tests.support.mesh import ROOT, Mesh, call
from tests.support.places import Place, make_place
from tests.support.waiting import PATIENCE, eventually


@dataclass(frozen=True)
class RealInput:
    """An export in FeatBit's format, and what in it the test is about."""

    folder: Path
    flag: str
    """A boolean flag that serves true to everyone; it is turned off."""
    segment: str
    """A segment to which a stranger is added …"""
    segment_flag: str
    """… whereby this boolean flag changes for them to …"""
    member_value: bool


SHOP: Final = RealInput(
    ROOT / "examples" / "shop", "checkout-enabled", "staff", "new-search", member_value=True
)
INSTALLATION: Final = RealInput(
    ROOT.parent / "shared" / "data" / "featbit",
    "returns-true",
    "segment-02",
    "custom-rule-with-segment",
    member_value=False,
)
INPUTS: Final = {
    name: real
    for name, real in {"shop": SHOP, "featbit": INSTALLATION}.items()
    if real.folder.is_dir()  # shared data is not part of a clone
}


@pytest.mark.parametrize("real", INPUTS.values(), ids=INPUTS.keys())
def test_a_change_reaches_both_sdks_and_what_they_saw_comes_back(
    mesh: Mesh, real: RealInput
) -> None:
    with ExitStack() as stack:
        channel = stack.enter_context(grpc.insecure_channel(mesh.api))
        place = make_place(mesh, channel, real.folder.name)
        import_export(mesh, place, real)

        server = stack.enter_context(featmesh.Client(mesh.evaluation, place.server_key))
        assert server.wait_until_ready(PATIENCE)
        stranger = find_stranger(server, real)
        user = stack.enter_context(
            featmesh.ClientSideClient(mesh.evaluation, place.client_key, stranger)
        )
        assert user.wait_until_ready(PATIENCE)

        def seen(flag: str) -> tuple[bool, bool]:
            """The server SDK's and the client SDK's value; defaults are never right."""
            default = not server.boolean_value(flag, stranger, default=False)
            return (
                server.boolean_value(flag, stranger, default=default),
                user.boolean_value(flag, default=default),
            )

        before = server.revision
        assert seen(real.flag) == (True, True)
        mesh.featmesh("flags", "toggle", real.flag, "--off", FEATMESH_ENVIRONMENT=place.environment)
        eventually(lambda: seen(real.flag), accept=lambda both: both == (False, False))
        assert server.revision > before

        assert seen(real.segment_flag) == (not real.member_value, not real.member_value)
        include(mesh, channel, place, real.segment, stranger.key)
        both_members = (real.member_value, real.member_value)
        eventually(lambda: seen(real.segment_flag), accept=lambda both: both == both_members)

        detail = server.boolean_detail(real.flag, stranger, default=True)
        assert (detail.value, detail.reason) == (False, featmesh.Reason.OFF)
        server.track("order-placed", stranger, value=49.9)
        assert server.flush(PATIENCE)

        counts = eventually(
            lambda: evaluations(mesh, channel, place, real.flag),
            accept=lambda found: found.get(detail.variation_id, 0) > 0,
        )
        assert sum(counts.values()) >= 2, "the true variation was served as well"
        assert stranger.key in eventually(
            lambda: end_users(mesh, channel, place), accept=lambda found: stranger.key in found
        )
        table = mesh.featmesh(
            "reports", "evaluations", real.flag, FEATMESH_ENVIRONMENT=place.environment
        )
        assert str(counts[detail.variation_id]) in table


def import_export(mesh: Mesh, place: Place, real: RealInput) -> None:
    files = [f"--{name}={real.folder / name}.json" for name in ("flags", "segments")]
    mesh.featmesh("import", "featbit", *files, FEATMESH_ENVIRONMENT=place.environment)


def find_stranger(client: featmesh.Client, real: RealInput) -> featmesh.Context:
    """Someone for whom the segment makes a difference."""
    strangers = (featmesh.Context(f"stranger-{number}") for number in range(1_000))
    return next(
        each
        for each in strangers
        if client.boolean_value(real.segment_flag, each, default=real.member_value)
        is not real.member_value
    )


def include(mesh: Mesh, channel: grpc.Channel, place: Place, segment: str, user: str) -> None:
    stub = segment_service_pb2_grpc.SegmentServiceStub(channel)
    get = segment_service_pb2.GetSegmentRequest(name=place.segment(segment))
    resource = call(stub.GetSegment, get, mesh).resource
    resource.segment.included.append(user)
    update = segment_service_pb2.UpdateSegmentRequest(
        resource=resource, base_version=resource.meta.version
    )
    update.update_mask.paths.append("segment")
    call(stub.UpdateSegment, update, mesh)


def evaluations(mesh: Mesh, channel: grpc.Channel, place: Place, flag: str) -> dict[str, int]:
    """Evaluations by variation id, over the hours around now."""
    request = report_service_pb2.QueryEvaluationsRequest(
        parent=place.environment, flag_key=flag, interval=report_service_pb2.INTERVAL_HOUR
    )
    now = datetime.now(UTC)
    request.start_time.FromDatetime(now - timedelta(hours=2))
    request.end_time.FromDatetime(now + timedelta(hours=2))
    stub = report_service_pb2_grpc.ReportServiceStub(channel)
    totals = call(stub.QueryEvaluations, request, mesh).totals
    return {total.variation_id: total.evaluations for total in totals}


def end_users(mesh: Mesh, channel: grpc.Channel, place: Place) -> set[str]:
    stub = end_user_service_pb2_grpc.EndUserServiceStub(channel)
    request = end_user_service_pb2.SearchEndUsersRequest(parent=place.environment)
    return {each.context.key for each in call(stub.SearchEndUsers, request, mesh).end_users}
