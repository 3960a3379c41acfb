from __future__ import annotations

import pytest

from featmesh.sync.v1 import sync_pb2
from services.messaging.inprocess import InProcessBus
from services.storage.model import Environment, SdkKeyKind
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import flag
from tests.support.evaluation import new_sdk_key, running_evaluation


@pytest.fixture(autouse=True)
def keys_are_looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.evaluation.revocations.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("services.evaluation.authentication.FOUND_SECONDS", 0.0)


async def test_a_revoked_key_ends_its_open_streams_and_no_others(
    store: MongoStore, bus: InProcessBus, environment: Environment, operator: Operator
) -> None:
    leaked, leaked_id = await new_sdk_key(store, environment.id, SdkKeyKind.CLIENT)
    good, _ = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    async with running_evaluation(store, bus) as service:
        ending = [service.client(leaked).results(user) for user in ("ann", "bob")]
        staying = service.client(good).definitions()
        await staying.change()
        for stream in ending:
            await stream.change()
        await store.credentials.revoke_sdk_key(environment.id, leaked_id)
        for stream in ending:
            goodbye = await stream.goodbye()
            assert goodbye.reason == sync_pb2.GOODBYE_REASON_KEY_REVOKED
        committed = await operator.create(flag("a"))
        await staying.reach(committed.revision)
