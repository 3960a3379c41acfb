from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.ingest.app import IngestApp, IngestSettings
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Bus
from services.runtime.config import Address
from services.runtime.settings import ServerSettings, StoreSettings
from services.storage.mongodb import MongoStore
from tests.support.messaging import own_topology, rabbitmq_bus
from tests.support.waiting import PATIENCE

T = TypeVar("T")

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@asynccontextmanager
async def running(store: MongoStore, bus: Bus, *, uri: str) -> AsyncIterator[IngestApp]:
    server = ServerSettings(Address("127.0.0.1", 0), drain_delay=0, drain_window=1)
    app = IngestApp(IngestSettings(server, StoreSettings(uri, "unused")), store, bus)
    await app.start()
    try:
        await until_health(app.port, SERVING)
        yield app
    finally:
        await app.stop()


async def until_health(port: int, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=PATIENCE, wait_for_ready=True
        )
        async for answer in watch:
            if answer.status == status:
                watch.cancel()
                return


async def until(look: Callable[[], Awaitable[T]], accept: Callable[[T], bool] = bool) -> T:
    """What ``look`` answers once it is accepted; for a store and a broker."""
    async with asyncio.timeout(PATIENCE):
        while not accept(answer := await look()):  # noqa: ASYNC110 -- they send no event
            await asyncio.sleep(0.02)
        return answer


@pytest.fixture(params=["in-process", "rabbitmq"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    """Each kind in turn: `ingest` cannot tell them apart."""
    if request.param == "rabbitmq":
        amqp_url = request.getfixturevalue("amqp_url")
        async with own_topology(amqp_url) as prefix, rabbitmq_bus(amqp_url, prefix) as bus:
            yield bus
        return
    bus = InProcessBus()
    try:
        yield bus
    finally:
        await bus.close()


@pytest.fixture
async def ingest(mongodb_uri: str, store: MongoStore, bus: Bus) -> AsyncIterator[IngestApp]:
    async with running(store, bus, uri=mongodb_uri) as app:
        yield app
