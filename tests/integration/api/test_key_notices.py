from __future__ import annotations

import asyncio

from featmesh.management.v1 import mutation_pb2, sdk_key_service_pb2
from featmesh.messaging.v1 import messaging_pb2
from services.api.outbox.key_notices import KeyNotices
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Message, Topic
from services.runtime.errors import BrokerUnavailable
from services.storage.model.credentials import SdkKeyKind
from services.storage.mongodb import MongoStore
from tests.support.api import ApiClient
from tests.support.evaluation import new_sdk_key
from tests.support.messaging import Recorder
from tests.support.resources import Environment, make_environment


async def test_a_revocation_is_told(
    api: ApiClient, bus: InProcessBus, store: MongoStore, environment: Environment
) -> None:
    notices = Recorder()
    await (await bus.watch_changes(notices)).bind(environment.id)
    _, key_id = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    await api.call(api.sdk_keys.RevokeSdkKey, revocation(environment, key_id))
    (message,) = await notices.until(1)
    notice = messaging_pb2.ChangeNotice.FromString(message.payload)
    assert (notice.environment_id, notice.keys_revoked) == (environment.id, True)


def revocation(
    environment: Environment, key_id: str, *, validate_only: bool = False
) -> sdk_key_service_pb2.RevokeSdkKeyRequest:
    return sdk_key_service_pb2.RevokeSdkKeyRequest(
        name=f"{environment.name}/sdkKeys/{key_id}",
        options=mutation_pb2.MutationOptions(validate_only=validate_only),
    )


async def test_a_rehearsed_revocation_is_told_to_nobody(
    api: ApiClient, bus: InProcessBus, store: MongoStore, environment: Environment
) -> None:
    notices = Recorder()
    other = await make_environment(store, environment.project_id, "other")
    watch = await bus.watch_changes(notices)
    for each in (environment, other):
        await watch.bind(each.id)
    for place, rehearsed in ((environment, True), (other, False)):
        _, key_id = await new_sdk_key(store, place.id, SdkKeyKind.SERVER)
        await api.call(
            api.sdk_keys.RevokeSdkKey, revocation(place, key_id, validate_only=rehearsed)
        )
    (message,) = await notices.until(1)
    assert message.environment_id == other.id, "notices of one replica come in order"


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
