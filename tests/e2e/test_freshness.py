"""Changes reach SDKs whatever is broken on the way, and keys that are revoked open nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

import featmesh
from featmesh.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from tests.e2e.command_line import operator_of
from tests.e2e.test_four_flows import SHOP, import_export
from tests.support.mesh import ROOT, Mesh, three_services
from tests.support.mongodb import fresh_database_name
from tests.support.places import Place, make_place
from tests.support.proxy import TcpProxy
from tests.support.waiting import PATIENCE, eventually

STRANGER = featmesh.Context("stranger")


def furnished(mesh: Mesh, name: str) -> Place:
    """An environment with the shop's flags."""
    with grpc.insecure_channel(mesh.api) as channel:
        place = make_place(mesh, channel, name)
        import_export(mesh, place, SHOP)
    return place


def toggle(mesh: Mesh, place: Place, *, on: bool) -> None:
    how = "--on" if on else "--off"
    mesh.featmesh("flags", "toggle", SHOP.flag, how, FEATMESH_ENVIRONMENT=place.environment)


def shown(client: featmesh.Client, user: featmesh.ClientSideClient) -> tuple[bool, bool]:
    return (
        client.boolean_value(SHOP.flag, STRANGER, default=False),
        user.boolean_value(SHOP.flag, default=False),
    )


@pytest.fixture
async def broker(amqp_url: str) -> AsyncIterator[tuple[TcpProxy, str]]:
    """A way to the broker that can be cut, and its URL."""
    proxy, url = await TcpProxy.in_front_of(amqp_url)
    yield proxy, url
    await proxy.cut()


async def test_a_change_arrives_while_the_broker_is_away_and_is_announced_when_it_is_back(
    broker: tuple[TcpProxy, str], mongodb_uri: str, tmp_path: Path
) -> None:
    proxy, url = broker
    mesh = three_services(tmp_path, mongodb=mongodb_uri, database=fresh_database_name(), amqp=url)
    try:
        await asyncio.to_thread(mesh.start)
        place = await asyncio.to_thread(furnished, mesh, "away")
        await proxy.cut()
        await asyncio.to_thread(arrives_unannounced, mesh, place)
        await proxy.open()
        await asyncio.to_thread(
            eventually,
            mesh.scraped,
            accept=lambda samples: samples["featmesh_api_outbox_changes"] == 0,
        )
    finally:
        codes = await asyncio.to_thread(mesh.stop)
    assert codes == [0] * len(codes)


def arrives_unannounced(mesh: Mesh, place: Place) -> None:
    with (
        featmesh.Client(mesh.evaluation, place.server_key) as client,
        featmesh.ClientSideClient(mesh.evaluation, place.client_key, STRANGER) as user,
    ):
        assert client.wait_until_ready(PATIENCE)
        assert user.wait_until_ready(PATIENCE)
        for on in (False, True, False):
            toggle(mesh, place, on=on)
            eventually(lambda: shown(client, user), accept=lambda both: both == (on, on))  # noqa: B023 -- used at once
        eventually(mesh.scraped, accept=lambda all_: all_["featmesh_api_outbox_changes"] > 0)


def test_a_revoked_key_ends_its_sdks_stream_and_the_sdk_serves_on(mesh: Mesh) -> None:
    place = furnished(mesh, "revoked")
    with featmesh.Client(mesh.evaluation, place.server_key) as client:
        assert client.wait_until_ready(PATIENCE)
        revoke_all(mesh, place)
        eventually(lambda: client.status, accept=lambda status: status is featmesh.Status.STALE)
        assert client.boolean_value(SHOP.flag, STRANGER, default=False)
    with grpc.insecure_channel(mesh.evaluation) as channel:
        evaluate = evaluation_pb2_grpc.EvaluationServiceStub(channel).Evaluate
        request = evaluation_pb2.EvaluateRequest(context=evaluation_pb2.Context(key="ada"))
        metadata = (("authorization", f"Bearer {place.server_key}"),)
        with pytest.raises(grpc.RpcError) as caught:
            evaluate(request, metadata=metadata, timeout=PATIENCE)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def revoke_all(mesh: Mesh, place: Place) -> None:
    """The environment's keys."""
    operator = operator_of(mesh, place)
    for key in operator.json("keys", "list", "--json"):
        operator.run("keys", "revoke", key["meta"]["id"])


def test_every_service_serves_its_metrics(mesh: Mesh) -> None:
    place = furnished(mesh, "measured")
    with featmesh.Client(mesh.evaluation, place.server_key) as client:
        assert client.wait_until_ready(PATIENCE)
        samples = mesh.scraped()
        streams = f"featmesh_evaluation_streams {place.environment_id}"
        assert samples[streams] == 1
    assert samples["featmesh_api_commits_total"] > 0
    page = (ROOT / "docs" / "operations" / "metrics.md").read_text()
    listed = set(re.findall(r"^\| `(featmesh_\w+)` \|", page, re.MULTILINE))
    served = {name.partition(" ")[0] for name in samples}
    ours = {name for name in served if name.startswith("featmesh_")}
    supervisors = {name for name in listed if name.startswith("featmesh_workers_")}
    assert ours | supervisors == listed, "where one process serves, there is no supervisor"
