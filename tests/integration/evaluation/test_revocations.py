from __future__ import annotations

import grpc
import pytest
from grpc import aio

from featmesh.management.v1 import sdk_key_service_pb2
from featmesh.sync.v1 import sync_pb2
from services.evaluation.sync.revocations import LOOK_SECONDS, Revocations
from services.messaging.inprocess import InProcessBus
from services.runtime.errors import StoreUnavailable
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, new_secret
from services.storage.model.credentials import SdkKeyKind
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator, store_through
from tests.integration.storage.records import flag
from tests.support.api import SERVING, running_api
from tests.support.evaluation import (
    NEVER,
    EvaluationClient,
    RunningEvaluation,
    new_sdk_key,
    running_evaluation,
)
from tests.support.messaging import soon
from tests.support.proxy import TcpProxy
from tests.support.resources import Environment, make_access_token, revoke_sdk_key


async def evaluates(sdk: EvaluationClient) -> bool:
    """Whether a new call with the key is answered."""
    try:
        await sdk.evaluate("ada")
    except aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.UNAUTHENTICATED:
            raise
        return False
    return True


async def refuses(sdk: EvaluationClient) -> bool:
    return not await evaluates(sdk)


@pytest.fixture
def told_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at keys unless told that one was revoked."""
    monkeypatch.setattr("services.evaluation.sync.revocations.LOOK_SECONDS", NEVER)


def test_keys_are_looked_at_every_two_seconds_unless_told() -> None:
    assert LOOK_SECONDS <= 2


@pytest.mark.usefixtures("told_only")
async def test_a_key_that_api_revokes_opens_nothing_at_once(
    store: MongoStore, bus: InProcessBus, environment: Environment
) -> None:
    secret = new_secret(ACCESS_TOKEN)
    await make_access_token(store, "tester", hash_secret(secret))
    streaming, streaming_id = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    calling, calling_id = await new_sdk_key(store, environment.id, SdkKeyKind.CLIENT)
    async with (
        running_evaluation(store, bus) as service,
        running_api(store, bus, secret=secret) as api,
    ):
        await api.health(SERVING)
        stream, sdk = service.client(streaming).definitions(), service.client(calling)
        await stream.change()
        assert await evaluates(sdk)
        for key_id in (streaming_id, calling_id):
            request = sdk_key_service_pb2.RevokeSdkKeyRequest(
                name=f"{environment.name}/sdkKeys/{key_id}"
            )
            await api.call(api.sdk_keys.RevokeSdkKey, request)
        assert (await stream.goodbye()).reason == sync_pb2.GOODBYE_REASON_KEY_REVOKED
        await soon(lambda: refuses(sdk))


async def test_a_revoked_key_ends_its_open_streams_and_no_others(
    store: MongoStore, service: RunningEvaluation, environment: Environment, operator: Operator
) -> None:
    leaked, leaked_id = await new_sdk_key(store, environment.id, SdkKeyKind.CLIENT)
    good, _ = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    ending = [service.client(leaked).results(user) for user in ("ann", "bob")]
    staying = service.client(good).definitions()
    await staying.change()
    for stream in ending:
        await stream.change()
    await revoke_sdk_key(store, environment.id, leaked_id)
    for stream in ending:
        goodbye = await stream.goodbye()
        assert goodbye.reason == sync_pb2.GOODBYE_REASON_KEY_REVOKED
        assert goodbye.reconnect_after_ms > 0
        assert goodbye.jitter_ms > 0
    committed = await operator.create(flag("a"))
    await staying.reach(committed.revision)


async def test_a_key_whose_document_is_gone_ends_its_streams_as_a_revoked_one(
    store: MongoStore, service: RunningEvaluation, environment: Environment
) -> None:
    secret, key_id = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    stream = service.client(secret).definitions()
    await stream.change()
    await store._connection["sdk_keys"].delete_one({"_id": key_id})
    assert (await stream.goodbye()).reason == sync_pb2.GOODBYE_REASON_KEY_REVOKED


async def test_a_revoked_key_without_a_stream_opens_nothing_new_long_before_its_memory_is_old(
    store: MongoStore,
    bus: InProcessBus,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.evaluation.auth.sdk_keys.FOUND_SECONDS", 3_600.0)
    secret, key_id = await new_sdk_key(store, environment.id, SdkKeyKind.CLIENT)
    async with running_evaluation(store, bus) as service:
        sdk = service.client(secret)
        assert await evaluates(sdk)
        await revoke_sdk_key(store, environment.id, key_id)
        await soon(lambda: refuses(sdk))
        assert await refuses(sdk)


async def test_many_keys_are_looked_at_in_several_reads(
    store: MongoStore,
    bus: InProcessBus,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.evaluation.sync.revocations.KEYS_AT_ONCE", 2)
    made = [await new_sdk_key(store, environment.id, SdkKeyKind.SERVER) for _ in range(5)]
    async with running_evaluation(store, bus) as service:
        streams = [service.client(secret).definitions() for secret, _ in made]
        for stream in streams:
            await stream.change()
        for _, key_id in made[::2]:
            await revoke_sdk_key(store, environment.id, key_id)
        for stream in streams[::2]:
            await stream.goodbye()
        assert service.app._revocations._watched.keys() == {key_id for _, key_id in made[1::2]}


async def test_while_the_store_is_away_keys_stay_good(
    proxy: TcpProxy,
    database_name: str,
    bus: InProcessBus,
    server_key: str,
    operator: Operator,
) -> None:
    async with (
        store_through(proxy, database_name) as distant,
        running_evaluation(distant, bus) as service,
    ):
        sdk = service.client(server_key)
        stream = sdk.definitions()
        await stream.change()
        await proxy.cut()
        with pytest.raises(StoreUnavailable):
            await distant.credentials.good_sdk_keys(["any"])
        revocations: Revocations = service.app._revocations
        await revocations.look()
        assert await evaluates(sdk)
        await proxy.open()
        committed = await operator.create(flag("a"))
        await stream.reach(committed.revision)
