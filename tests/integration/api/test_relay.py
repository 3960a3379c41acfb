from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from featmesh.management.v1 import flag_service_pb2
from featmesh.messaging.v1 import messaging_pb2
from services.api.outbox import relay as relay_module
from services.api.outbox.notices import plain_notice
from services.api.outbox.relay import POLL_SECONDS, Relay
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Message, Topic
from services.storage.model.changes import OutboxEntry
from services.storage.mongodb import MongoStore
from services.storage.mongodb.outbox import MongoOutbox
from tests.integration.storage.records import change, create, segment
from tests.support.api import SERVING, ApiClient, flag_resource, running_api
from tests.support.resources import Environment, make_environment
from tests.support.waiting import PATIENCE


class Notices:
    """What a watch of one environment has heard."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[messaging_pb2.ChangeNotice] = asyncio.Queue(100)

    @classmethod
    async def of(cls, bus: InProcessBus, environment: Environment) -> Notices:
        notices = cls()
        watch = await bus.watch_changes(notices.take)
        await watch.bind(environment.id)
        return notices

    async def take(self, message: Message) -> None:
        self.heard.put_nowait(messaging_pb2.ChangeNotice.FromString(message.payload))

    async def next(self) -> messaging_pb2.ChangeNotice:
        async with asyncio.timeout(PATIENCE):
            return await self.heard.get()


async def commit(store: MongoStore, environment: Environment, key: str) -> int:
    """A change as another replica would commit it."""
    made = change(environment.id, *create(segment(key, key)))
    return (await store.resources.commit(made)).revision


@asynccontextmanager
async def relaying(relay: Relay) -> AsyncIterator[Relay]:
    """The relay, which runs while entered."""
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_empty(store: MongoStore) -> None:
    async with asyncio.timeout(PATIENCE):
        while await store.outbox.list_outbox(1):  # noqa: ASYNC110 -- a store has no event
            await asyncio.sleep(0.02)


async def test_a_change_is_announced_right_after_its_commit(
    api: ApiClient, bus: InProcessBus, environment: Environment, store: MongoStore
) -> None:
    notices = await Notices.of(bus, environment)
    request = flag_service_pb2.CreateFlagRequest(
        parent=environment.name, resource=flag_resource("f")
    )
    loop = asyncio.get_running_loop()
    answer = await api.call(api.flags.CreateFlag, request)
    committed = loop.time()
    notice = await notices.next()

    assert loop.time() - committed < POLL_SECONDS / 2
    assert notice.environment_id == environment.id
    assert notice.revision == answer.resource.flag.revision
    await until_empty(store)


async def test_a_change_of_another_replica_is_announced_too(
    api: ApiClient, bus: InProcessBus, environment: Environment, store: MongoStore
) -> None:
    notices = await Notices.of(bus, environment)
    revision = await commit(store, environment, "s")
    assert (await notices.next()).revision == revision


async def test_the_outbox_survives_a_bus_that_is_down_and_a_restart(
    environment: Environment, store: MongoStore, caplog: pytest.LogCaptureFixture
) -> None:
    down = InProcessBus()
    await down.close()
    with caplog.at_level(logging.WARNING):
        async with running_api(store, down) as client:
            await client.health(SERVING)
            await commit(store, environment, "a")
            revision = await commit(store, environment, "b")
        assert len(await store.outbox.list_outbox(10)) == 2

    bus = InProcessBus()
    notices = await Notices.of(bus, environment)
    async with running_api(store, bus) as client:
        assert (await notices.next()).revision == revision
        await until_empty(store)
    assert notices.heard.empty()
    await bus.close()


async def test_an_outage_of_the_bus_is_logged_once(
    environment: Environment, store: MongoStore, caplog: pytest.LogCaptureFixture
) -> None:
    await commit(store, environment, "s")
    tries = asyncio.Semaphore(0)

    class Down(InProcessBus):
        async def publish(self, topic: Topic, message: Message) -> None:
            tries.release()
            await super().publish(topic, message)

    down = Down()
    await down.close()
    async with relaying(Relay(store.outbox, down)), asyncio.timeout(PATIENCE):
        for _ in range(3):
            await tries.acquire()
    assert caplog.text.count("changes wait in the outbox") == 1


async def test_several_changes_of_an_environment_are_one_notice(
    bus: InProcessBus, environment: Environment, store: MongoStore
) -> None:
    notices = await Notices.of(bus, environment)
    for key in ("a", "b", "c"):
        revision = await commit(store, environment, key)
    await Relay(store.outbox, bus).drain()

    assert (await notices.next()).revision == revision
    assert notices.heard.empty()
    assert not await store.outbox.list_outbox(1)


async def test_what_was_just_committed_is_announced_once_and_before_the_outbox_is_read(
    bus: InProcessBus, environment: Environment, store: MongoStore
) -> None:
    notices = await Notices.of(bus, environment)
    revision = await commit(store, environment, "s")

    class Outbox(MongoOutbox):
        async def list_outbox(self, limit: int) -> list[OutboxEntry]:
            if not announced:
                announced.append((await notices.next()).revision)
            return await super().list_outbox(limit)

    assert isinstance(store.outbox, MongoOutbox)
    announced: list[int] = []
    relay = Relay(Outbox(store.outbox._connection), bus)
    await asyncio.gather(relay.announce(plain_notice(environment.id, revision)), relay.drain())
    assert announced == [revision]
    assert notices.heard.empty()
    assert not await store.outbox.list_outbox(1)


async def test_a_commit_that_another_one_followed_does_not_stand_for_it(
    bus: InProcessBus, environment: Environment, store: MongoStore
) -> None:
    notices = await Notices.of(bus, environment)
    first, second = [await commit(store, environment, key) for key in "ab"]
    relay = Relay(store.outbox, bus)
    await asyncio.gather(relay.announce(plain_notice(environment.id, first)), relay.drain())
    assert [(await notices.next()).revision for _ in range(2)] == [first, second]


async def test_a_notice_of_one_change_has_a_copy_of_what_it_wrote(
    api: ApiClient, bus: InProcessBus, environment: Environment
) -> None:
    notices = await Notices.of(bus, environment)
    request = flag_service_pb2.CreateFlagRequest(
        parent=environment.name, resource=flag_resource("f")
    )
    answer = await api.call(api.flags.CreateFlag, request)
    copy = (await notices.next()).inline
    assert copy.since == environment.revision
    assert [item.flag for item in copy.changes.items] == [answer.resource.flag]


async def test_two_changes_in_one_notice_are_left_to_the_store(
    bus: InProcessBus, environment: Environment, store: MongoStore
) -> None:
    notices = await Notices.of(bus, environment)
    relay = Relay(store.outbox, bus)
    copies = [
        messaging_pb2.ChangeNotice(
            environment_id=environment.id,
            revision=revision,
            inline=messaging_pb2.InlineChanges(since=revision - 1),
        )
        for revision in (2, 1)
    ]
    await asyncio.gather(*map(relay.announce, copies), relay.drain())
    assert await notices.next() == plain_notice(environment.id, 2)
    assert notices.heard.empty()


class Slow(InProcessBus):
    """Confirms nothing before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.confirms = asyncio.Event(), asyncio.Event()

    async def publish(self, topic: Topic, message: Message) -> None:
        self.asked.set()
        await self.confirms.wait()
        await super().publish(topic, message)


async def test_an_operator_is_answered_when_the_bus_has_the_notice(
    environment: Environment, store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "ANNOUNCED_SECONDS", PATIENCE)
    slow = Slow()
    async with relaying(Relay(store.outbox, slow)) as relay, asyncio.timeout(PATIENCE):
        told = asyncio.create_task(relay.announce(plain_notice(environment.id, 1)))
        await slow.asked.wait()
        assert not told.done()
        slow.confirms.set()
        await told


async def test_an_operator_does_not_wait_for_a_bus_that_hangs(
    environment: Environment, store: MongoStore
) -> None:
    slow = Slow()
    async with relaying(Relay(store.outbox, slow)) as relay, asyncio.timeout(PATIENCE):
        await relay.announce(plain_notice(environment.id, 1))
        assert slow.asked.is_set()


async def test_an_operator_does_not_wait_for_a_bus_that_refuses(
    environment: Environment, store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "ANNOUNCED_SECONDS", 2 * PATIENCE)
    down = InProcessBus()
    await down.close()
    async with relaying(Relay(store.outbox, down)) as relay, asyncio.timeout(PATIENCE):
        await relay.announce(plain_notice(environment.id, 1))


async def test_a_relay_that_dies_between_publish_and_delete_leaves_the_notice_to_another(
    bus: InProcessBus, environment: Environment, store: MongoStore
) -> None:
    notices = await Notices.of(bus, environment)
    revision = await commit(store, environment, "s")

    class Dying(InProcessBus):
        """Publishes, and does not live to hear that it was confirmed."""

        async def publish(self, topic: Topic, message: Message) -> None:
            await bus.publish(topic, message)
            raise asyncio.CancelledError

    dying = Dying()
    with pytest.raises(asyncio.CancelledError):
        await Relay(store.outbox, dying).drain()
    await dying.close()
    assert (await notices.next()).revision == revision
    assert len(await store.outbox.list_outbox(10)) == 1, "not confirmed, so not deleted"

    await Relay(store.outbox, bus).drain()
    assert (await notices.next()).revision == revision, "said twice, which does no harm"
    assert not await store.outbox.list_outbox(1)


async def test_two_relays_at_once_announce_everything_and_empty_the_outbox(
    bus: InProcessBus, environment: Environment, store: MongoStore
) -> None:
    others = [
        await make_environment(store, environment.project_id, f"e{number}") for number in range(8)
    ]
    watched = {each.id: await Notices.of(bus, each) for each in others}
    revisions = {each.id: await commit(store, each, "s") for each in others}

    published: list[str] = []
    both = asyncio.Event()

    class InStep(InProcessBus):
        """Neither of two relays gets a confirm before both have something to publish."""

        async def publish(self, topic: Topic, message: Message) -> None:
            published.append(message.environment_id)
            if len(published) == 2:
                both.set()
            await both.wait()
            await bus.publish(topic, message)

    in_step = InStep()
    relays = (Relay(store.outbox, in_step), Relay(store.outbox, in_step))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(each.drain() for each in relays))
    await in_step.close()

    for environment_id, notices in watched.items():
        assert (await notices.next()).revision == revisions[environment_id]
    assert len(published) > len(others), "the first was announced by both"
    assert not await store.outbox.list_outbox(1)


async def test_more_changes_than_a_batch_are_announced_in_bounded_batches(
    bus: InProcessBus, environment: Environment, store: MongoStore
) -> None:
    notices = await Notices.of(bus, environment)
    revisions = [await commit(store, environment, key) for key in "abcde"]
    await Relay(store.outbox, bus, batch=2).drain()

    heard = [(await notices.next()).revision for _ in range(3)]
    assert heard == [revisions[1], revisions[3], revisions[4]], "the last of each batch"
    assert notices.heard.empty()
    assert not await store.outbox.list_outbox(1)
