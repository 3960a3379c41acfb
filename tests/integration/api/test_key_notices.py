from __future__ import annotations

import asyncio

from featmesh.management.v1 import tenancy_pb2
from featmesh.messaging.v1 import messaging_pb2
from services.api.changes.commit import Changes
from services.api.changes.edits import Mutation
from services.api.changes.effects import CommitHooks
from services.api.changes.tenancy import TenancyChanges
from services.api.outbox.key_notices import KeyNotices
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Message, Topic
from services.runtime.errors import BrokerUnavailable
from services.storage.model.changes import Change, Committed, WriteOptions
from services.storage.model.credentials import SdkKeyKind
from services.storage.mongodb import MongoStore
from tests.support.api import ApiClient
from tests.support.evaluation import new_sdk_key
from tests.support.messaging import Recorder
from tests.support.resources import ADA, Environment


async def test_a_revocation_is_told(
    api: ApiClient, bus: InProcessBus, store: MongoStore, environment: Environment
) -> None:
    notices = Recorder()
    await (await bus.watch_changes(notices)).bind(environment.id)
    _, key_id = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    request = tenancy_pb2.RevokeSdkKeyRequest(environment_id=environment.id, sdk_key_id=key_id)
    await api.call(api.tenancy.RevokeSdkKey, request)
    (message,) = await notices.until(1)
    notice = messaging_pb2.ChangeNotice.FromString(message.payload)
    assert (notice.environment_id, notice.keys_revoked) == (environment.id, True)


async def _nothing(_change: Change, _committed: Committed) -> None:
    pass


async def test_a_rehearsed_revocation_is_told_to_nobody(
    store: MongoStore, environment: Environment
) -> None:
    told: list[str] = []
    effects = CommitHooks(
        committed=_nothing, key_revoked=told.append, environment_deleted=lambda: None
    )
    changes = TenancyChanges(
        store.resources, Changes(store.resources, store.definitions, effects), effects
    )
    _, key_id = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    rehearsal = Mutation(ADA, options=WriteOptions(validate_only=True))
    await changes.revoke_sdk_key(environment.id, key_id, rehearsal)
    assert told == []
    await changes.revoke_sdk_key(environment.id, key_id, Mutation(ADA))
    assert told == [environment.id]


async def test_a_notice_that_finds_no_bus_holds_up_no_later_one(bus: InProcessBus) -> None:
    told = Recorder()
    await (await bus.watch_changes(told)).bind("second")
    failed = asyncio.Event()

    class Flaky(InProcessBus):
        async def publish(self, topic: Topic, message: Message) -> None:
            if message.environment_id == "first":
                failed.set()
                raise BrokerUnavailable("it is away")
            await bus.publish(topic, message)

    notices = KeyNotices(Flaky())
    task = asyncio.create_task(notices.run())
    notices.wake("first")
    await failed.wait()
    notices.wake("second")
    await told.until(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
