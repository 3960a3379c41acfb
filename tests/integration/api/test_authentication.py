from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from featmesh.management.v1 import access_token_service_pb2, organization_service_pb2
from services.access.tokens import CACHE_SECONDS, CACHE_SIZE, Tokens
from services.api.registration import REQUEST_LIMITS, SERVICES
from services.runtime.errors import Unauthenticated
from services.runtime.secrets import (
    ACCESS_TOKEN,
    CLIENT_KEY,
    SERVER_KEY,
    hash_secret,
    new_secret,
)
from services.storage.model.kinds import ACCESS_TOKEN as ACCESS_TOKEN_KIND
from services.storage.model.resource import INSTALLATION_ID
from services.storage.mongodb import MongoStore
from tests.support.api import ApiClient
from tests.support.resources import make_access_token, update
from tests.support.statuses import error_info

LIST = organization_service_pb2.ListOrganizationsRequest()


@pytest.mark.parametrize(
    "secret",
    ["", new_secret(ACCESS_TOKEN), "nonsense", "x" * 300],
    ids=["missing", "unknown", "nonsense", "long"],
)
async def test_a_missing_or_unknown_token_is_unauthenticated(api: ApiClient, secret: str) -> None:
    client = ApiClient(api.channel, secret)
    error = await client.refused(client.organizations.ListOrganizations, LIST)
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED
    assert error_info(error).reason == "UNAUTHENTICATED"


@pytest.mark.parametrize(("prefix", "kind"), [(SERVER_KEY, "server"), (CLIENT_KEY, "client")])
async def test_an_sdk_key_is_denied_and_told_what_is_needed(
    api: ApiClient, prefix: str, kind: str
) -> None:
    client = ApiClient(api.channel, new_secret(prefix))
    error = await client.refused(client.organizations.ListOrganizations, LIST)
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


async def test_good_tokens_are_remembered_within_bounds(
    store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(store.credentials)
    secrets = [new_secret(ACCESS_TOKEN) for _ in range(3)]
    for secret in secrets:
        await make_access_token(store, "t", hash_secret(secret))
    monkeypatch.setattr("services.access.tokens.CACHE_SIZE", 2)
    found = [await tokens.find(secret) for secret in secrets]
    assert {each.actor.display_name for each in found} == {"t"}
    assert len(tokens._known) == len(tokens._recorded) == 2
    assert CACHE_SIZE > 2
    with pytest.raises(Unauthenticated):
        await tokens.find(new_secret(ACCESS_TOKEN))


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 7, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def tokens(self, store: MongoStore) -> Tokens:
        return Tokens(store.credentials, self, self.seconds)


async def test_a_revoked_token_works_no_longer_than_it_is_remembered(store: MongoStore) -> None:
    clock = Clock()
    tokens, secret = clock.tokens(store), new_secret(ACCESS_TOKEN)
    token = await make_access_token(store, "t", hash_secret(secret))
    await tokens.find(secret)
    await update(store, token, revoked_at=clock.now)

    clock.now += timedelta(seconds=CACHE_SECONDS - 1)
    assert (await tokens.find(secret)).actor.id == token.meta.id
    clock.now += timedelta(seconds=1)
    with pytest.raises(Unauthenticated, match="revoked"):
        await tokens.find(secret)


async def test_a_token_expires_at_once_even_while_it_is_remembered(store: MongoStore) -> None:
    clock = Clock()
    tokens, secret = clock.tokens(store), new_secret(ACCESS_TOKEN)
    token = await make_access_token(store, "t", hash_secret(secret))
    await update(store, token, expires_at=clock.now + timedelta(seconds=1))
    assert (await tokens.find(secret)).expires_at is not None
    clock.now += timedelta(seconds=1)
    with pytest.raises(Unauthenticated, match="expired"):
        await tokens.find(secret)


async def test_the_last_use_of_a_token_is_recorded_to_the_minute(store: MongoStore) -> None:
    clock = Clock()
    tokens, secret = clock.tokens(store), new_secret(ACCESS_TOKEN)
    token = await make_access_token(store, "t", hash_secret(secret))

    async def last_used() -> datetime | None:
        stored = await store.resources.get(ACCESS_TOKEN_KIND, INSTALLATION_ID, token.meta.id)
        assert stored.meta.version == 1, "a use is no change"
        return stored.content.last_used_at

    assert await last_used() is None
    first = clock.now
    await tokens.find(secret)
    assert await last_used() == first
    clock.now += timedelta(seconds=59)
    await tokens.find(secret)
    assert await last_used() == first
    clock.now += timedelta(seconds=1)
    await tokens.find(secret)
    assert await last_used() == clock.now


async def test_a_revoked_or_expired_token_is_refused_over_the_wire(
    api: ApiClient, store: MongoStore
) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    for field, word in (("revoked_at", "revoked"), ("expires_at", "expired")):
        secret = new_secret(ACCESS_TOKEN)
        token = await make_access_token(store, word, hash_secret(secret))
        await update(store, token, **{field: past})
        client = api.with_secret(secret)
        request = access_token_service_pb2.GetCallerRequest()
        error = await client.refused(client.tokens.GetCaller, request)
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED
        assert word in (error.details() or "")


def test_every_method_with_a_size_of_its_own_exists() -> None:
    services = {method.split("/")[1] for method in REQUEST_LIMITS}
    assert services <= set(SERVICES)
