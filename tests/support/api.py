"""A running `api` over real sockets, with the stubs of all its services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from featmesh.flag.v1 import flag_pb2, rollout_pb2, value_pb2
from featmesh.management.v1 import (
    access_token_service_pb2_grpc,
    audit_service_pb2_grpc,
    dead_letter_service_pb2_grpc,
    end_user_service_pb2_grpc,
    environment_service_pb2_grpc,
    flag_service_pb2,
    flag_service_pb2_grpc,
    import_service_pb2_grpc,
    organization_service_pb2_grpc,
    project_service_pb2_grpc,
    propagation_service_pb2_grpc,
    report_service_pb2_grpc,
    sdk_key_service_pb2_grpc,
    segment_service_pb2,
    segment_service_pb2_grpc,
    tag_service_pb2_grpc,
)
from services.api.app import RETENTION, ApiApp, ApiSettings
from services.api.rpc.methods import Method
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Bus
from services.runtime.config import Address
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, new_secret
from services.runtime.settings import ServerSettings, StoreSettings
from services.storage.mongodb import MongoStore
from services.storage.ports.store import Store
from tests.support.resources import make_access_token
from tests.support.waiting import PATIENCE

SERVING: Final = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING

ACTOR: Final = "tester"


class ApiClient:
    """Stubs of every management service over one channel, with one token."""

    def __init__(self, channel: aio.Channel, secret: str) -> None:
        self.channel = channel
        self.metadata = (("authorization", f"Bearer {secret}"),) if secret else ()
        self.organizations: Any = organization_service_pb2_grpc.OrganizationServiceStub(channel)
        self.projects: Any = project_service_pb2_grpc.ProjectServiceStub(channel)
        self.environments: Any = environment_service_pb2_grpc.EnvironmentServiceStub(channel)
        self.sdk_keys: Any = sdk_key_service_pb2_grpc.SdkKeyServiceStub(channel)
        self.tags: Any = tag_service_pb2_grpc.TagServiceStub(channel)
        self.tokens: Any = access_token_service_pb2_grpc.AccessTokenServiceStub(channel)
        self.flags: Any = flag_service_pb2_grpc.FlagServiceStub(channel)
        self.segments: Any = segment_service_pb2_grpc.SegmentServiceStub(channel)
        self.imports: Any = import_service_pb2_grpc.ImportServiceStub(channel)
        self.users: Any = end_user_service_pb2_grpc.EndUserServiceStub(channel)
        self.reports: Any = report_service_pb2_grpc.ReportServiceStub(channel)
        self.propagation: Any = propagation_service_pb2_grpc.PropagationServiceStub(channel)
        self.audit: Any = audit_service_pb2_grpc.AuditServiceStub(channel)
        self.dead_letters: Any = dead_letter_service_pb2_grpc.DeadLetterServiceStub(channel)

    def with_secret(self, secret: str) -> ApiClient:
        """Returns a client of the same service with another token."""
        return ApiClient(self.channel, secret)

    def method(self, method: Method) -> Any:
        """A method that is known by its descriptor, and answers at once."""
        return self.channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )

    async def call(self, method: Any, request: Any) -> Any:
        """One call with the token and a deadline."""
        return await method(request, metadata=self.metadata, timeout=PATIENCE)

    async def refused(self, method: Any, request: Any) -> aio.AioRpcError:
        """The error of a call that must fail."""
        with pytest.raises(aio.AioRpcError) as caught:
            await self.call(method, request)
        return caught.value

    async def health(self, wanted: Any) -> None:
        """Returns once the service's health is as wanted."""
        stub: Any = health_pb2_grpc.HealthStub(self.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        async for answer in watch:
            if answer.status == wanted:
                watch.cancel()
                return
        raise AssertionError("the health watch ended")


def settings(
    token_file: Path | None = None, tombstone_retention: timedelta = RETENTION
) -> ApiSettings:
    """A free port and no delays."""
    return ApiSettings(
        server=ServerSettings(Address("127.0.0.1", 0), drain_delay=0, drain_window=1),
        store=StoreSettings("mongodb://user:secret@127.0.0.1:1", "featmesh"),
        bootstrap_token_file=token_file,
        tombstone_retention=tombstone_retention,
    )


@asynccontextmanager
async def running_api(
    store: Store,
    bus: Bus,
    *,
    secret: str = "",
    token_file: Path | None = None,
    tombstone_retention: timedelta = RETENTION,
) -> AsyncIterator[ApiClient]:
    """A started `api`, stopped afterwards; it need not be ready yet."""
    app = ApiApp(settings(token_file, tombstone_retention), store, bus)
    await app.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
            yield ApiClient(channel, secret)
    finally:
        await app.stop()
        assert not app.tasks.crashed.is_set()


@pytest.fixture
async def bus() -> AsyncIterator[InProcessBus]:
    """An open in-process bus."""
    opened = InProcessBus()
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def api(store: MongoStore, bus: InProcessBus) -> AsyncIterator[ApiClient]:
    """A ready `api` and a client with a good token."""
    secret = new_secret(ACCESS_TOKEN)
    await make_access_token(store, ACTOR, hash_secret(secret))
    async with running_api(store, bus, secret=secret) as client:
        await client.health(SERVING)
        yield client


def boolean_flag(key: str, **fields: Any) -> flag_pb2.Flag:
    """A flag with the variations `on` and `off` that serves `on`."""
    return flag_pb2.Flag(
        key=key,
        value_type=value_pb2.VALUE_TYPE_BOOLEAN,
        variations=[
            flag_pb2.Variation(id="on", name="On", value=value_pb2.Value(bool_value=True)),
            flag_pb2.Variation(id="off", name="Off", value=value_pb2.Value(bool_value=False)),
        ],
        off_variation_id="off",
        **{"fallthrough": rollout("on"), **fields},
    )


def rollout(variation_id: str) -> rollout_pb2.Rollout:
    """One variation for everybody."""
    share = rollout_pb2.Share(variation_id=variation_id, weight=100_000, experiment_share=100_000)
    return rollout_pb2.Rollout(shares=[share])


def flag_resource(key: str, **fields: Any) -> flag_service_pb2.FlagResource:
    """`boolean_flag` with a display name."""
    return flag_service_pb2.FlagResource(flag=boolean_flag(key, **fields), display_name=key.title())


def segment_resource(key: str, **fields: Any) -> segment_service_pb2.SegmentResource:
    """A segment with a display name."""
    resource = segment_service_pb2.SegmentResource(display_name=key.title())
    resource.segment.key = key
    for name, value in fields.items():
        field = getattr(resource.segment, name)
        if isinstance(value, list):
            field.extend(value)
        else:
            setattr(resource.segment, name, value)
    return resource
