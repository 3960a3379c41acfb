"""A real copy of the database is put back, under SDKs that live on: all end as the store is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from grpc import aio

import featmesh
from featmesh.client.timing import Timing as SdkTiming
from featmesh.sync.v1 import sync_pb2, sync_pb2_grpc
from featmesh.wire import DefinitionAssembler
from services.messaging.inprocess import InProcessBus
from services.runtime.backoff import until_available
from services.standalone.mongod import EmbeddedMongod
from services.storage.model.credentials import SdkKeyKind
from services.storage.mongodb import MongoStore
from services.storage.mongodb.migrations import INDEXES
from tests.integration.evaluation.conftest import Operator, store_through
from tests.integration.storage.records import flag
from tests.support.evaluation import new_sdk_key, running_evaluation
from tests.support.ports import free_port
from tests.support.proxy import TcpProxy
from tests.support.resources import Environment, make_environment
from tests.support.waiting import PATIENCE, eventually

T = TypeVar("T")

ADA = featmesh.Context("ada")
AT_ONCE = SdkTiming(random=lambda: 0.01)
"""An SDK that draws the shortest waits."""

Values = dict[str, bool]


@dataclass
class RawReader:
    """A bare stream that goes on from its token whenever it ends."""

    address: str
    key: str
    values: Values = field(default_factory=dict)
    held: sync_pb2.ResumeToken | None = None
    reasons: list[int] = field(default_factory=list)

    async def run(self) -> None:
        own = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 100))
        async with aio.insecure_channel(self.address, options=own) as channel:
            stub: Any = sync_pb2_grpc.SyncServiceStub(channel)
            while True:
                request = sync_pb2.SyncDefinitionsRequest(resume=self.held)
                metadata = (("authorization", f"Bearer {self.key}"),)
                call = stub.SyncDefinitions(request, metadata=metadata, wait_for_ready=True)
                try:
                    await self._follow(call)
                except aio.AioRpcError:
                    continue

    async def _follow(self, call: Any) -> None:
        assembler = DefinitionAssembler()
        async for frame in call:
            if frame.WhichOneof("frame") == "goodbye":
                self.reasons.append(frame.goodbye.reason)
            elif frame.WhichOneof("frame") == "change_set":
                changes = assembler.add(frame.change_set)
                if changes is not None:
                    kept = {} if changes.full else self.values
                    gone = {key: kept[key] for key in kept if key not in changes.deleted_flag_keys}
                    self.values = gone | {each.key: each.enabled for each in changes.flags}
                    self.held = changes.resume


@dataclass
class Sdks:
    """One of each kind; what flags serve says whether they are on."""

    server: featmesh.Client
    user: featmesh.ClientSideClient
    raw: RawReader

    def values(self) -> list[Values]:
        return [
            {key: value is True for key, value in self.server.all_flags(ADA).items()},
            {key: value is True for key, value in self.user.all_flags().items()},
            dict(self.raw.values),
        ]

    async def serve(self, expected: Values) -> None:
        """Returns when all of them serve this."""
        wanted = [expected] * 3
        await asyncio.to_thread(eventually, self.values, accept=lambda held: held == wanted)


@asynccontextmanager
async def connected(store: MongoStore, environment_id: str, port: int) -> AsyncIterator[Sdks]:
    """SDKs of the evaluation at this port, whether or not it runs yet."""
    address = f"127.0.0.1:{port}"
    server_key, _ = await new_sdk_key(store, environment_id, SdkKeyKind.SERVER)
    client_key, _ = await new_sdk_key(store, environment_id, SdkKeyKind.CLIENT)
    options = featmesh.Options(backoff_first=0.05, backoff_maximum=0.2, backoff_refused=0.2)
    server = featmesh.Client(address, server_key, options=options, timing=AT_ONCE)
    user = featmesh.ClientSideClient(address, client_key, ADA, options=options, timing=AT_ONCE)
    raw = RawReader(address, server_key)
    task = asyncio.create_task(raw.run())
    try:
        yield Sdks(server, user, raw)
    finally:
        task.cancel()
        await asyncio.wait({task})
        await asyncio.gather(asyncio.to_thread(server.close), asyncio.to_thread(user.close))


async def surely(attempt: Callable[[], Awaitable[T]]) -> T:
    """As soon as the store is there."""
    async with asyncio.timeout(PATIENCE):
        return await until_available(attempt, what="the store", low=0.05, high=0.1)


class FileCopy:
    """A mongod of one's own whose folder is copied while it is down."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._copy = folder / "data", folder / "copy"
        self._mongod = EmbeddedMongod(self._folder, port=free_port())
        self._port = 0

    async def start(self) -> str:
        await self._mongod.start()
        self._port = int(self._mongod.uri.partition("/?")[0].rpartition(":")[2])
        return self._mongod.uri

    async def take(self) -> None:
        await self._mongod.stop()
        shutil.copytree(self._folder, self._copy)
        await self._mongod.start()

    async def restore(self) -> None:
        await self._mongod.stop()
        self._mongod = EmbeddedMongod(self._copy, port=self._port)
        await self._mongod.start()

    async def stop(self) -> None:
        await self._mongod.stop()


class Dump:
    """As mongodump and mongorestore with --drop do: collections are other ones afterwards."""

    def __init__(self, store: MongoStore) -> None:
        self._connection = store._connection
        self._documents: dict[str, list[dict[str, Any]]] = {}

    async def take(self) -> None:
        for name in await self._connection.database.list_collection_names():
            self._documents[name] = await self._connection[name].find().to_list(None)

    async def restore(self) -> None:
        for name, documents in self._documents.items():
            await self._connection[name].drop()
            await self._connection.database.create_collection(name)
            if name in INDEXES:
                await self._connection[name].create_indexes(INDEXES[name])
            if documents:
                await self._connection[name].insert_many(documents)


async def end_to_end(operator: Operator, sdks: Sdks, backup: FileCopy | Dump) -> None:
    """Up to where the store is about to go back: `a` is off for all, and will be on again."""
    await sdks.serve({"a": True, "b": True})
    await backup.take()
    await surely(lambda: operator.update("a", enabled=False))
    await operator.create(flag("lost"))
    await sdks.serve({"a": False, "b": True, "lost": True})


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_copy_of_the_files_of_mongodb(
    restarted: bool, tmp_path: Path, bus: InProcessBus
) -> None:
    copy, port = FileCopy(tmp_path), free_port()
    async with AsyncExitStack() as parts:
        parts.push_async_callback(copy.stop)
        store = MongoStore.open(await copy.start())
        parts.push_async_callback(store.close)
        await store.migrate()
        environment = await make_environment(store)
        operator = Operator(store, environment.id)
        await operator.create(flag("a"), flag("b"))
        sdks = await parts.enter_async_context(connected(store, environment.id, port))
        async with AsyncExitStack() as evaluation:
            running = running_evaluation(store, bus, port=port)
            await evaluation.enter_async_context(running)
            await end_to_end(operator, sdks, copy)
            if restarted:
                await evaluation.aclose()
            await copy.restore()
            await surely(lambda: operator.update("b", enabled=False))
            if restarted:
                again = running_evaluation(store, bus, port=port)
                await evaluation.enter_async_context(again)
            await sdks.serve({"a": True, "b": False})
            await operator.update("a", enabled=False)
            await sdks.serve({"a": False, "b": False})
    assert restarted or sync_pb2.GOODBYE_REASON_RESYNC in sdks.raw.reasons


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_dump(
    restarted: bool,
    proxy: TcpProxy,
    store: MongoStore,
    database_name: str,
    bus: InProcessBus,
    environment: Environment,
    operator: Operator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dump, port = Dump(store), free_port()
    await operator.create(flag("a"), flag("b"))
    async with AsyncExitStack() as parts:
        seen = await parts.enter_async_context(store_through(proxy, database_name))
        sdks = await parts.enter_async_context(connected(store, environment.id, port))
        async with AsyncExitStack() as evaluation:
            await evaluation.enter_async_context(running_evaluation(seen, bus, port=port))
            await end_to_end(operator, sdks, dump)
            before = await operator.head()
            if restarted:
                await evaluation.aclose()
            await proxy.cut()  # else it would see the environment deleted for a moment
            await dump.restore()
            await operator.update("b", enabled=False)
            await proxy.open()
            if restarted:  # at whose start it is found out, else by `api`
                again = running_evaluation(seen, bus, port=port)
                await evaluation.enter_async_context(again)
            else:
                await store.maintenance.renew_epochs_if_moved()
            await sdks.serve({"a": True, "b": False})
            assert (await operator.head()).epoch != before.epoch
            await operator.update("a", enabled=False)
            await sdks.serve({"a": False, "b": False})
    assert "was restored or moved: 1 environments have a new epoch" in caplog.text
    assert restarted or sync_pb2.GOODBYE_REASON_RESYNC in sdks.raw.reasons
