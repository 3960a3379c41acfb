"""How far a change has come: SDKs on two `evaluation` processes, and what `api` tells of them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

import featmesh
from featmesh.insights.v1 import insights_pb2
from featmesh.management.v1 import flag_service_pb2
from featmesh.management.v1 import propagation_service_pb2 as pb
from featmesh.sync.v1 import sync_pb2
from services.messaging.inprocess import InProcessBus
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, new_secret
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import flag
from tests.support.api import SERVING, ApiClient, running_api
from tests.support.evaluation import (
    DefinitionStream,
    EvaluationClient,
    RunningEvaluation,
    now_ms,
    running_evaluation,
)
from tests.support.messaging import Recorder, own_topology, rabbitmq_bus
from tests.support.resources import Environment, make_access_token
from tests.support.waiting import PATIENCE

QUICK = featmesh.Options(flush_interval=0.05)

PATIENCE_MS = int(PATIENCE * 1_000)
"""Longer ago than anything that happens in a test."""


@dataclass(frozen=True)
class Mesh:
    """An `api` and two `evaluation` processes, each with connections of its own to a broker."""

    api: ApiClient
    here: RunningEvaluation
    there: RunningEvaluation
    environment: str

    async def toggle(self, *, enabled: bool) -> int:
        """The revision at which flag ``a`` is on or off."""
        request = flag_service_pb2.ToggleFlagRequest(
            name=f"{self.environment}/flags/a", enabled=enabled
        )
        answer = await self.api.call(self.api.flags.ToggleFlag, request)
        revision: int = answer.resource.flag.revision
        return revision

    async def watch(self, revision: int) -> AsyncIterator[pb.WatchPropagationResponse]:
        request = pb.WatchPropagationRequest(name=self.environment, revision=revision)
        call = self.api.propagation.WatchPropagation(
            request, metadata=self.api.metadata, timeout=PATIENCE
        )
        async for state in call:
            yield state

    async def complete(self, revision: int) -> pb.WatchPropagationResponse:
        """The last state, once every stream has applied the revision."""
        states = [state async for state in self.watch(revision)]
        assert states[-1].complete
        return states[-1]

    async def until(self, revision: int, *, delivered: int, applied: int) -> None:
        """Returns once so many streams are so far."""
        async for state in self.watch(revision):
            if (state.delivered_streams, state.applied_streams) == (delivered, applied):
                assert not state.complete
                return
        raise AssertionError("the rollout is complete")

    async def connected(self, streams: int) -> None:
        """Returns once so many streams have all they can have: what is toggled next is new."""
        async with asyncio.timeout(PATIENCE):
            while (await self.complete(0)).connected_streams != streams:
                pass


@pytest.fixture
async def mesh(
    store: MongoStore, environment: Environment, operator: Operator, amqp_url: str
) -> AsyncIterator[Mesh]:
    await operator.create(flag("a"))
    token = new_secret(ACCESS_TOKEN)
    await make_access_token(store, "tester", hash_secret(token))
    async with AsyncExitStack() as stack:
        prefix = await stack.enter_async_context(own_topology(amqp_url))
        buses = [await stack.enter_async_context(rabbitmq_bus(amqp_url, prefix)) for _ in range(3)]
        api = await stack.enter_async_context(running_api(store, buses[0], secret=token))
        await api.health(SERVING)
        here = await stack.enter_async_context(running_evaluation(store, buses[1]))
        there = await stack.enter_async_context(running_evaluation(store, buses[2]))
        yield Mesh(api, here, there, environment.name)


def instance() -> sync_pb2.SdkInfo:
    return sync_pb2.SdkInfo(name="test", version="1", instance_id=str(uuid.uuid4()))


def report(sdk: sync_pb2.SdkInfo, revision: int, age_ms: int = 0) -> insights_pb2.TrackRequest:
    return insights_pb2.TrackRequest(
        batch_id=str(uuid.uuid4()),
        sent_at_ms=now_ms(),
        sdk=sdk,
        applied_revision=revision,
        applied_age_ms=age_ms,
    )


async def opened(client: EvaluationClient, sdk: sync_pb2.SdkInfo) -> DefinitionStream:
    """A stream whose SDK has said that it applied what it was sent first."""
    stream = client.definitions(sdk=sdk)
    await stream.change()
    await client.track(report(sdk, stream.revisions[-1]))
    return stream


async def test_a_change_is_complete_when_every_sdk_of_every_process_has_applied_it(
    mesh: Mesh, server_key: str, client_key: str
) -> None:
    sdks: list[featmesh.Client | featmesh.ClientSideClient] = [
        featmesh.Client(f"127.0.0.1:{mesh.here.app.port}", server_key, options=QUICK),
        featmesh.Client(f"127.0.0.1:{mesh.there.app.port}", server_key, options=QUICK),
        featmesh.ClientSideClient(
            f"127.0.0.1:{mesh.there.app.port}", client_key, featmesh.Context("ada"), options=QUICK
        ),
    ]
    try:
        for sdk in sdks:
            assert await sdk.wait_until_ready_async(PATIENCE)
        await mesh.connected(3)
        revision = await mesh.toggle(enabled=False)
        state = await mesh.complete(revision)
        assert (state.connected_streams, state.delivered_streams, state.applied_streams) == (3,) * 3
        assert (state.delivered.streams, state.applied.streams) == (3, 3)
        assert 0 <= state.delivered.p50_ms <= state.delivered.p99_ms
        assert [sdk.revision for sdk in sdks] == [revision] * 3, "and so it is"
    finally:
        for sdk in sdks:
            await asyncio.to_thread(sdk.close)


async def test_a_change_that_leaves_a_users_results_as_they_were_needs_no_word_of_its_sdk(
    mesh: Mesh, operator: Operator, client_key: str
) -> None:
    client, sdk = mesh.here.client(client_key), instance()
    stream = client.results("ada", sdk=sdk)
    await stream.change()
    await client.track(report(sdk, stream.revisions[-1]))
    await mesh.connected(1)
    committed = await operator.create(flag("archived", archived=True))
    state = await mesh.complete(committed.revision)
    assert (state.connected_streams, state.applied_streams) == (1, 1)


async def test_a_report_that_reaches_another_process_counts_where_the_stream_is(
    mesh: Mesh, server_key: str
) -> None:
    sdk = instance()
    stream = await opened(mesh.here.client(server_key), sdk)
    other = mesh.there.client(server_key)
    await other.definitions().change()
    await mesh.connected(2)
    revision = await mesh.toggle(enabled=False)
    await stream.reach(revision)
    await mesh.until(revision, delivered=2, applied=1)
    await other.track(report(sdk, revision))
    assert (await mesh.complete(revision)).connected_streams == 2


async def test_a_report_that_a_relay_forwards_counts_as_the_sdks_own(
    mesh: Mesh, server_key: str
) -> None:
    sdk = instance()
    stream = await opened(mesh.here.client(server_key), sdk)
    await mesh.connected(1)
    revision = await mesh.toggle(enabled=False)
    await stream.reach(revision)
    await mesh.until(revision, delivered=1, applied=0)
    relay = mesh.there.client(server_key).track_stream()
    batch = report(sdk, revision).SerializeToString()
    await relay.write(insights_pb2.TrackStreamRequest(batch=batch))
    assert (await relay.read()).code == 0
    assert (await mesh.complete(revision)).connected_streams == 1


async def test_a_reader_that_does_not_apply_is_waited_for_until_it_goes(
    mesh: Mesh, server_key: str
) -> None:
    sdk, stalled = instance(), instance()
    stream = await opened(mesh.here.client(server_key), sdk)
    pending = await opened(mesh.there.client(server_key), stalled)
    await mesh.connected(2)
    revision = await mesh.toggle(enabled=False)
    await stream.reach(revision)
    await mesh.here.client(server_key).track(report(sdk, revision))
    await mesh.until(revision, delivered=2, applied=1)
    pending.close()
    assert (await mesh.complete(revision)).connected_streams == 1


async def test_the_time_of_application_is_the_sdks_and_not_that_of_its_report(
    mesh: Mesh, server_key: str
) -> None:
    sdk = instance()
    client = mesh.here.client(server_key)
    stream = await opened(client, sdk)
    await mesh.connected(1)
    revision = await mesh.toggle(enabled=False)
    await stream.reach(revision)
    await client.track(report(sdk, revision, age_ms=PATIENCE_MS))
    times = (await mesh.complete(revision)).applied
    assert (times.p99_ms, times.streams) == (0, 1), "it was that long ago, but no longer"


async def test_censuses_need_no_broker_and_a_report_that_is_lost_is_made_up_for_by_the_next(
    store: MongoStore, environment: Environment, operator: Operator, server_key: str
) -> None:
    sdk = instance()
    here_bus, there_bus = InProcessBus(), InProcessBus()  # nothing passes between the two
    async with (
        running_evaluation(store, here_bus) as here,
        running_evaluation(store, there_bus) as there,
    ):
        await there_bus.close()
        stream = await opened(here.client(server_key), sdk)
        committed = await operator.create(flag("a"))
        await stream.reach(committed.revision)
        await there.client(server_key).track(report(sdk, committed.revision))
        await written(store, environment, committed.revision, delivered=1, applied=0)
        await here.client(server_key).track(report(sdk, committed.revision))
        await written(store, environment, committed.revision, delivered=1, applied=1)
    await here_bus.close()
    assert await store.progress.read_progress(environment.id) == [], "who stops is not counted"


async def written(
    store: MongoStore, environment: Environment, revision: int, *, delivered: int, applied: int
) -> None:
    """Returns once the store says so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            counts = [
                (each.delivered, each.applied)
                for progress in await store.progress.read_progress(environment.id)
                for each in progress.revisions
                if each.revision == revision
            ]
            if counts == [(delivered, applied)]:
                return


async def test_a_report_alone_is_taken_without_the_broker_and_publishes_no_event(
    service: RunningEvaluation,
    bus: InProcessBus,
    server_key: str,
    users: Recorder,
    insights: Recorder,
) -> None:
    client = service.client(server_key)
    await client.track(report(instance(), 7))
    await bus.close()
    response = await client.track(report(instance(), 7))
    assert (response.accepted, list(response.rejected)) == (0, [])
    assert (users.got, insights.got) == ([], [])
