from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest

from featmesh.messaging.v1 import messaging_pb2
from featmesh.sync.v1 import sync_pb2
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Bus, Message, Topic
from services.storage.model.changes import AnyItemChange, Committed
from services.storage.model.credentials import SdkKeyKind
from services.storage.model.definitions import EnvironmentHead
from services.storage.model.items import FlagRecord, SegmentRecord
from services.storage.model.kinds import FLAG, SEGMENT
from services.storage.model.resource import Stored
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import Record, change, create, delete, update
from tests.support.evaluation import (
    EvaluationClient,
    RunningEvaluation,
    new_sdk_key,
    running_evaluation,
)
from tests.support.messaging import Recorder
from tests.support.proxy import TcpProxy
from tests.support.resources import Environment


@dataclass
class Operator:
    """Changes one environment as `api` does; announces nothing unless told to."""

    store: MongoStore
    environment_id: str

    async def commit(self, *writes: AnyItemChange) -> Committed:
        return await self.store.resources.commit(change(self.environment_id, *writes))

    async def create(self, *records: Record) -> Committed:
        return await self.commit(*create(*records))

    async def update(self, key: str, **fields: object) -> Committed:
        return await self.commit(update(await self.flag(key), **fields))

    async def update_segment(self, key: str, **fields: object) -> Committed:
        return await self.commit(update(await self.segment(key), **fields))

    async def delete(self, key: str) -> Committed:
        return await self.commit(delete(await self.flag(key)))

    async def flag(self, key: str) -> Stored[FlagRecord]:
        return await self.store.resources.get(FLAG, self.environment_id, key)

    async def segment(self, key: str) -> Stored[SegmentRecord]:
        return await self.store.resources.get(SEGMENT, self.environment_id, key)

    async def raise_floor(self, floor: int) -> None:
        """As the compaction of tombstones does."""
        environments = self.store._connection["environments"]
        await environments.update_one({"_id": self.environment_id}, {"$set": {"floor": floor}})

    async def head(self) -> EnvironmentHead:
        """Where the environment is in the store."""
        heads = await self.store.definitions.read_heads([self.environment_id])
        return heads[self.environment_id]

    async def token(self, revision: int, digest: bytes = b"") -> sync_pb2.ResumeToken:
        """What an SDK has that holds this revision of the environment's history."""
        epoch = (await self.head()).epoch
        return sync_pb2.ResumeToken(epoch=epoch, revision=revision, digest=digest)

    async def announce(self, bus: Bus, committed: Committed) -> None:
        notice = messaging_pb2.ChangeNotice(
            environment_id=self.environment_id, revision=committed.revision
        )
        message = Message(str(uuid4()), self.environment_id, notice.SerializeToString())
        await bus.publish(Topic.CHANGES, message)


@pytest.fixture
def operator(store: MongoStore, environment: Environment) -> Operator:
    return Operator(store, environment.id)


@pytest.fixture
def users() -> Recorder:
    """What reaches `Topic.USERS` of the test's bus."""
    return Recorder()


@pytest.fixture
def insights() -> Recorder:
    """What reaches `Topic.INSIGHTS` of the test's bus."""
    return Recorder()


@pytest.fixture
async def bus(users: Recorder, insights: Recorder) -> AsyncIterator[InProcessBus]:
    """With consumers in the place of `ingest`."""
    opened = InProcessBus()
    await opened.consume(Topic.USERS, users, prefetch=8)
    await opened.consume(Topic.INSIGHTS, insights, prefetch=8)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def server_key(store: MongoStore, environment: Environment) -> str:
    return (await new_sdk_key(store, environment.id, SdkKeyKind.SERVER))[0]


@pytest.fixture
async def client_key(store: MongoStore, environment: Environment) -> str:
    return (await new_sdk_key(store, environment.id, SdkKeyKind.CLIENT))[0]


@pytest.fixture
async def service(store: MongoStore, bus: InProcessBus) -> AsyncIterator[RunningEvaluation]:
    """Finds changes by its poll, twenty times a second."""
    async with running_evaluation(store, bus) as running:
        yield running


@pytest.fixture
def server_sdk(service: RunningEvaluation, server_key: str) -> EvaluationClient:
    return service.client(server_key)


@pytest.fixture
def client_sdk(service: RunningEvaluation, client_key: str) -> EvaluationClient:
    return service.client(client_key)


@asynccontextmanager
async def store_through(proxy: TcpProxy, database_name: str) -> AsyncIterator[MongoStore]:
    """The same database, through a proxy; impatient, so that an outage shows at once."""
    bounds = "serverSelectionTimeoutMS=200&connectTimeoutMS=200&heartbeatFrequencyMS=500"
    uri = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true&{bounds}"
    store = MongoStore.open(uri, database=database_name)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def proxy(mongodb_uri: str) -> AsyncIterator[TcpProxy]:
    opened, _ = await TcpProxy.in_front_of(mongodb_uri)
    yield opened
    await opened.cut()
