"""An environment that is deleted ends its streams, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc import aio

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.insights.v1 import insights_pb2
from featmesh.sync.v1 import sync_pb2
from services.evaluation.replica.follower import Follower
from services.evaluation.replica.replica import ENVIRONMENT_DELETED, Replicas
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Message, Topic
from services.runtime.errors import NotFound
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, new_secret
from services.storage.model.changes import Committed
from services.storage.model.credentials import SdkKeyKind
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import flag
from tests.support.evaluation import (
    NEVER,
    EvaluationClient,
    RunningEvaluation,
    SyncStream,
    Timing,
    new_sdk_key,
    running_evaluation,
)
from tests.support.messaging import soon
from tests.support.resources import Environment, make_access_token, make_environment
from tests.support.streams import Reader, new_traffic
from tests.support.waiting import PATIENCE

IDENTIFY = insights_pb2.IdentifyRequest(users=[evaluation_pb2.Context(key="ada")])

CALLS: dict[str, Callable[[EvaluationClient], Awaitable[Any]]] = {
    "SyncDefinitions": lambda sdk: sdk.definitions().frame(),
    "SyncEvaluations": lambda sdk: sdk.results("ada").frame(),
    "Evaluate": lambda sdk: sdk.evaluate("ada"),
    "Identify": lambda sdk: sdk.identify(IDENTIFY),
}


class RecordedWatch:
    """Notes what is bound at each moment."""

    def __init__(self) -> None:
        self.bound: set[str] = set()

    async def bind(self, environment_id: str) -> None:
        self.bound.add(environment_id)

    async def unbind(self, environment_id: str) -> None:
        self.bound.discard(environment_id)

    async def close(self) -> None:
        self.bound.clear()


async def delete_environment(store: MongoStore, environment_id: str, *, keys: bool = True) -> None:
    """As `api` does, straight in the database."""
    if keys:
        await store._connection["sdk_keys"].delete_many({"environment": environment_id})
    for collection in ("flags", "segments"):
        await store._connection[collection].delete_many({"environment": environment_id})
    await store._connection["environments"].delete_one({"_id": environment_id})


async def test_a_deleted_environment_ends_its_streams_and_no_others(
    store: MongoStore,
    service: RunningEvaluation,
    environment: Environment,
    server_key: str,
    client_key: str,
) -> None:
    other = await make_environment(store, environment.project_id, "other")
    kept_key, _ = await new_sdk_key(store, other.id, SdkKeyKind.SERVER)
    kept = service.client(kept_key).definitions()
    streams: list[SyncStream[Any]] = [
        service.client(server_key).definitions(),
        *(service.client(client_key).results(f"user-{number}") for number in range(3)),
    ]
    for stream in (kept, *streams):
        await stream.change()
    await delete_environment(store, environment.id)
    for stream in streams:
        goodbye = await stream.goodbye()
        assert goodbye.reason == sync_pb2.GOODBYE_REASON_ENVIRONMENT_DELETED
        assert goodbye.reconnect_after_ms > 0
        assert goodbye.jitter_ms > 0
    committed = await Operator(store, other.id).create(flag("a"))
    await kept.reach(committed.revision)


@pytest.mark.parametrize("keys", [True, False], ids=["with its keys", "before its keys"])
async def test_the_keys_of_a_deleted_environment_are_unknown(
    store: MongoStore,
    service: RunningEvaluation,
    environment: Environment,
    server_key: str,
    keys: bool,
) -> None:
    sdk = service.client(server_key)
    stream = sdk.definitions()
    await stream.change()
    await delete_environment(store, environment.id, keys=keys)
    await stream.goodbye()

    async def refused(call: Callable[[EvaluationClient], Awaitable[Any]]) -> bool:
        try:
            await call(sdk)
        except aio.AioRpcError as error:
            return error.code() == grpc.StatusCode.UNAUTHENTICATED
        return False

    for name, call in CALLS.items():
        if keys or name != "Identify":  # which reads nothing of its environment
            await soon(lambda call=call: refused(call))  # type: ignore[misc]


async def test_an_operator_is_told_that_the_environment_does_not_exist(
    store: MongoStore, service: RunningEvaluation, environment: Environment
) -> None:
    token = new_secret(ACCESS_TOKEN)
    await make_access_token(store, "ada", hash_secret(token))
    await delete_environment(store, environment.id)
    with pytest.raises(aio.AioRpcError) as caught:
        await service.client(token).evaluate("ada", environment=environment.id)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_the_announcement_of_the_deletion_ends_the_streams_without_a_poll(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    async with running_evaluation(store, bus, Timing(poll_interval=NEVER)) as service:
        stream = service.client(server_key).definitions()
        seen = (await stream.change()).revision
        await delete_environment(store, operator.environment_id, keys=False)
        await operator.announce(bus, Committed(seen + 1, ()))
        reason = (await stream.goodbye()).reason
        assert reason == sync_pb2.GOODBYE_REASON_ENVIRONMENT_DELETED


async def test_what_was_bound_for_a_deleted_environment_is_unbound(
    store: MongoStore, environment: Environment
) -> None:
    replicas, watch = Replicas(store.definitions), RecordedWatch()
    await replicas.follow(watch)
    await replicas.get(environment.id)
    assert watch.bound == {environment.id}
    await delete_environment(store, environment.id)
    await Follower(replicas, store.definitions).poll()
    await replicas.evict_idle(NEVER)
    assert (replicas.loaded(), watch.bound) == ((), set())


async def test_what_was_bound_for_an_environment_that_cannot_be_loaded_is_unbound(
    store: MongoStore,
) -> None:
    replicas, watch = Replicas(store.definitions), RecordedWatch()
    await replicas.follow(watch)
    with pytest.raises(NotFound):
        await replicas.get("nowhere")
    assert watch.bound == {"nowhere"}
    await replicas.evict_idle(NEVER)
    assert watch.bound == set()


async def test_a_stream_that_joins_an_ended_environment_ends_as_well(
    store: MongoStore, environment: Environment
) -> None:
    """It had the replica in hand while that was dropped."""
    replicas = Replicas(store.definitions)
    replica = await replicas.get(environment.id)
    await replicas.end(replica)
    reader = Reader(replica, new_traffic(replicas.watchdog))
    async with asyncio.timeout(PATIENCE):
        await reader.task
    assert reader.writer.frames == [ENVIRONMENT_DELETED]


async def test_a_late_notice_of_a_deleted_environment_does_nothing(
    store: MongoStore, environment: Environment, operator: Operator
) -> None:
    replicas = Replicas(store.definitions)
    follower = Follower(replicas, store.definitions)
    bus = InProcessBus()
    await replicas.follow(await bus.watch_changes(follower.on_notice))
    await replicas.get(environment.id)
    committed = await operator.create(flag("a"))
    await delete_environment(store, environment.id)
    await asyncio.gather(*(operator.announce(bus, committed) for _ in range(3)))
    await follower.poll()
    assert replicas.loaded() == ()
    await operator.announce(bus, committed)
    assert replicas.loaded() == ()
    await bus.close()


async def test_a_notice_that_cannot_be_read_ends_no_watch(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    async with running_evaluation(store, bus, Timing(poll_interval=NEVER)) as service:
        stream = service.client(server_key).definitions()
        await stream.change()
        await bus.publish(Topic.CHANGES, Message("m", operator.environment_id, b"\xff"))
        committed = await operator.create(flag("a"))
        await operator.announce(bus, committed)
        await stream.reach(committed.revision)
