"""A whole `evaluation` on stock gRPC, as `FEATMESH_GRPC_SERVER=aio` has it."""

from __future__ import annotations

from featmesh.sync.v1 import sync_pb2
from services.messaging.inprocess import InProcessBus
from services.runtime.settings import ServerKind
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import flag
from tests.support.evaluation import running_evaluation

READERS = 100


async def test_changes_and_a_goodbye_reach_every_stream(
    store: MongoStore, bus: InProcessBus, operator: Operator, server_key: str
) -> None:
    async with running_evaluation(store, bus, kind=ServerKind.AIO) as service:
        sdk = service.client(server_key)
        streams = [sdk.definitions() for _ in range(READERS)]
        for stream in streams:
            await stream.change()
        committed = await operator.create(flag("checkout"))
        for stream in streams:
            await stream.reach(committed.revision)
        await service.app.stop()
        for stream in streams:
            assert (await stream.goodbye()).reason == sync_pb2.GOODBYE_REASON_DRAINING
