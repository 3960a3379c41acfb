from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from featmesh.management.v1 import tenancy_pb2
from services.api.auth.authentication import CACHE_SIZE, Tokens
from services.api.rpc.registration import REQUEST_LIMITS, SERVICES
from services.runtime.errors import Unauthenticated
from services.runtime.secrets import (
    ACCESS_TOKEN,
    CLIENT_KEY,
    SERVER_KEY,
    hash_secret,
    new_secret,
)
from services.storage.mongodb import MongoStore
from tests.support.api import ApiClient
from tests.support.statuses import error_info

LIST = tenancy_pb2.ListOrganizationsRequest()


@pytest.mark.parametrize(
    "secret",
    ["", new_secret(ACCESS_TOKEN), "nonsense", "x" * 300],
    ids=["missing", "unknown", "nonsense", "long"],
)
async def test_a_missing_or_unknown_token_is_unauthenticated(api: ApiClient, secret: str) -> None:
    client = ApiClient(api.channel, secret)
    error = await client.refused(client.tenancy.ListOrganizations, LIST)
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED
    assert error_info(error).reason == "UNAUTHENTICATED"


@pytest.mark.parametrize(("prefix", "kind"), [(SERVER_KEY, "server"), (CLIENT_KEY, "client")])
async def test_an_sdk_key_is_denied_and_told_what_is_needed(
    api: ApiClient, prefix: str, kind: str
) -> None:
    client = ApiClient(api.channel, new_secret(prefix))
    error = await client.refused(client.tenancy.ListOrganizations, LIST)
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    assert f"{kind} SDK key" in (error.details() or "")
    assert "access token" in (error.details() or "")


async def test_health_and_reflection_need_no_token(api: ApiClient) -> None:
    health = health_pb2_grpc.HealthStub(api.channel)
    request = health_pb2.HealthCheckRequest(service="live")
    assert (await health.Check(request)).status == health_pb2.HealthCheckResponse.SERVING

    reflection = reflection_pb2_grpc.ServerReflectionStub(api.channel)
    stream = reflection.ServerReflectionInfo()
    await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    answer = await stream.read()
    stream.cancel()
    names = {service.name for service in answer.list_services_response.service}
    assert names >= set(SERVICES)


async def test_good_tokens_are_remembered_within_bounds(store: MongoStore) -> None:
    tokens = Tokens(store.credentials)
    secrets = [new_secret(ACCESS_TOKEN) for _ in range(3)]
    for secret in secrets:
        await store.credentials.create_access_token("t", hash_secret(secret))
    found = [await tokens.find(secret) for secret in secrets]
    assert await tokens.find(secrets[0]) is found[0]
    assert len(tokens._known) <= CACHE_SIZE
    with pytest.raises(Unauthenticated):
        await tokens.find(new_secret(ACCESS_TOKEN))


def test_every_method_with_a_size_of_its_own_exists() -> None:
    services = {method.split("/")[1] for method in REQUEST_LIMITS}
    assert services <= set(SERVICES)
