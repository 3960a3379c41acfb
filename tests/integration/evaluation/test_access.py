from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc import aio

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.insights.v1 import insights_pb2
from featmesh.sync.v1 import sync_pb2
from services.evaluation.auth.sdk_keys import SdkKeys
from services.messaging.inprocess import InProcessBus
from services.runtime.errors import Unauthenticated
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, new_secret
from services.storage.model.credentials import SdkKey, SdkKeyKind
from services.storage.model.resource import Stored
from services.storage.mongodb import MongoStore
from services.storage.mongodb.resources.credentials import MongoCredentials
from services.storage.ports.credentials import CredentialStore
from tests.support.evaluation import (
    EvaluationClient,
    RunningEvaluation,
    new_sdk_key,
    running_evaluation,
)
from tests.support.resources import Environment, make_access_token, revoke_sdk_key
from tests.support.statuses import error_info, violations


class CountedCredentials(MongoCredentials):
    """The real store's, with a count of the keys that were looked up one by one."""

    def __init__(self, inner: CredentialStore) -> None:
        assert isinstance(inner, MongoCredentials)
        super().__init__(inner._connection)
        self.look_ups = 0

    async def find_sdk_key(self, secret_hash: str) -> Stored[SdkKey] | None:
        self.look_ups += 1
        return await super().find_sdk_key(secret_hash)


Call = Callable[[EvaluationClient], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "SyncDefinitions": lambda sdk: sdk.definitions().frame(),
    "SyncEvaluations": lambda sdk: sdk.results("ada").frame(),
    "Evaluate": lambda sdk: sdk.evaluate("ada"),
    "Track": lambda sdk: sdk.track(insights_pb2.TrackRequest(batch_id="b")),
    "Identify": lambda sdk: sdk.identify(
        insights_pb2.IdentifyRequest(users=[evaluation_pb2.Context(key="ada")])
    ),
}


async def refused(call: Awaitable[Any]) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_a_call_without_a_good_key_is_unauthenticated(
    store: MongoStore, service: RunningEvaluation, environment: Environment
) -> None:
    revoked, key_id = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    await revoke_sdk_key(store, environment.id, key_id)
    for secret in ("", "fms_unknown", "x" * 300, revoked):
        sdk = service.client(secret)
        for name, call in CALLS.items():
            error = await refused(call(sdk))
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED, (name, secret)
            assert error_info(error).reason == "UNAUTHENTICATED"
            assert not secret or secret not in str(error.details())


async def test_an_access_token_is_no_sdk_key(store: MongoStore, service: RunningEvaluation) -> None:
    token = new_secret(ACCESS_TOKEN)
    await make_access_token(store, "ada", hash_secret(token))
    for name, call in CALLS.items():
        if name != "Evaluate":  # which an operator may ask, too
            error = await refused(call(service.client(token)))
            assert error.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_a_client_key_does_not_open_definitions(client_sdk: EvaluationClient) -> None:
    error = await refused(client_sdk.definitions().frame())
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    for name, call in CALLS.items():
        if name != "SyncDefinitions":
            await call(client_sdk)


async def test_a_flood_of_keys_that_do_not_exist_pushes_no_good_key_out(
    store: MongoStore, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.evaluation.auth.sdk_keys.CACHE_SIZE", 3)
    credentials = CountedCredentials(store.credentials)
    keys = SdkKeys(credentials)
    good, _ = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    revoked, key_id = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    await revoke_sdk_key(store, environment.id, key_id)
    await keys.any_key([("authorization", f"Bearer {good}")])
    for secret in (*(f"fms_{number}" for number in range(10)), revoked):
        with pytest.raises(Unauthenticated):
            await keys.any_key([("authorization", f"Bearer {secret}")])
    before = credentials.look_ups
    await keys.any_key([("authorization", f"Bearer {good}")])
    assert credentials.look_ups == before
    assert len(keys._refused) == 3


async def test_the_memory_of_good_keys_is_bounded(
    store: MongoStore, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.evaluation.auth.sdk_keys.CACHE_SIZE", 3)
    keys = SdkKeys(store.credentials)
    for _ in range(5):
        secret, _ = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
        await keys.any_key([("authorization", f"Bearer {secret}")])
    assert len(keys.remembered()) == 3


async def test_a_context_beyond_its_limits_is_refused_with_every_path(
    client_sdk: EvaluationClient,
) -> None:
    value = evaluation_pb2.AttributeValue
    strings = evaluation_pb2.StringList
    context = evaluation_pb2.Context(
        name="n" * 513,
        attributes={
            "long": value(string_value="é" * 2_049),
            "none": value(),
            "nan": value(number_value=float("nan")),
            "list": value(list_value=strings(values=["ok", "x" * 4_097])),
            "lists": value(list_value=strings(values=["x"] * 1_001)),
            "k" * 129: value(bool_value=True),
        },
    )
    for call in (client_sdk.results(context).frame(), client_sdk.evaluate(context)):
        error = await refused(call)
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert set(violations(error)) == {
            "context.key",
            "context.name",
            'context.attributes["long"]',
            'context.attributes["none"]',
            'context.attributes["nan"]',
            'context.attributes["list"][1]',
            'context.attributes["lists"]',
            f'context.attributes["{"k" * 64}"] (its name)',
        }


async def test_too_many_attributes_are_one_violation(client_sdk: EvaluationClient) -> None:
    value = evaluation_pb2.AttributeValue(bool_value=True)
    context = evaluation_pb2.Context(key="ada", attributes={f"a{n}": value for n in range(201)})
    error = await refused(client_sdk.evaluate(context))
    assert violations(error) == {"context.attributes": "has 201; at most 200"}


async def test_a_key_of_exactly_the_limit_is_taken(client_sdk: EvaluationClient) -> None:
    await client_sdk.evaluate("k" * 512)
    error = await refused(client_sdk.evaluate("é" * 257))
    assert list(violations(error)) == ["context.key"]


async def test_a_stream_request_beyond_its_limits_is_refused_with_every_path(
    server_sdk: EvaluationClient,
) -> None:
    sdk = sync_pb2.SdkInfo(name="n" * 65, version="v" * 65)
    token = sync_pb2.ResumeToken(epoch=b"e" * 65, revision=-1, digest=b"d" * 65)
    for stream in (
        server_sdk.definitions(token, sdk=sdk),
        server_sdk.results("ada", token, sdk=sdk),
    ):
        error = await stream.refused()
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        held = {"resume.epoch", "resume.revision", "resume.digest"}
        assert set(violations(error)) == {*held, "sdk.name", "sdk.version"}


async def test_an_oversized_request_is_refused(client_sdk: EvaluationClient) -> None:
    value = evaluation_pb2.AttributeValue(string_value="x" * 1_100_000)
    context = evaluation_pb2.Context(key="ada", attributes={"a": value})
    error = await client_sdk.results(context).refused()
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert list(violations(error)) == ["request"]


async def test_a_stream_that_opens_while_the_service_drains_is_sent_elsewhere(
    store: MongoStore, bus: InProcessBus, server_key: str
) -> None:
    async with running_evaluation(store, bus) as service:
        await service.app._sync.drain(0)
        error = await service.client(server_key).definitions().refused()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
