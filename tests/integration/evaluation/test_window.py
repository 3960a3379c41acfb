from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from services.evaluation.limits import SEND_WINDOW
from services.evaluation.replica.replica import Replica, Replicas
from services.evaluation.sync.stream import StreamDeps
from services.evaluation.sync.timers import TICK_SECONDS, StreamTimers, TimerSettings
from services.runtime.tasks import repeat
from services.storage.model.definitions import EnvironmentHead
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import change, create, flag
from tests.support.resources import Environment
from tests.support.streams import Reader, new_traffic
from tests.support.waiting import PATIENCE

Join = Callable[..., Reader]


@pytest.fixture
def replicas(store: MongoStore) -> Replicas:
    return Replicas(store.definitions)


@pytest.fixture
async def replica(replicas: Replicas, environment: Environment) -> Replica:
    return await replicas.get(environment.id)


@pytest.fixture
async def join(replicas: Replicas, replica: Replica) -> AsyncIterator[Join]:
    """Opens streams, whose pacer ticks as in the service."""
    deps: StreamDeps = new_traffic(replicas.watchdog)
    timers = StreamTimers(TimerSettings(), replicas.watchdog)
    ticking = asyncio.create_task(repeat(timers.tick, seconds=TICK_SECONDS, what="pace"))
    async with AsyncExitStack() as readers:

        def joined(*, takes: bool) -> Reader:
            reader = Reader(replica, deps, takes=takes)
            readers.push_async_callback(reader.close)
            return reader

        yield joined
    ticking.cancel()
    await asyncio.wait({ticking})


async def commit(store: MongoStore, replica: Replica, key: str) -> None:
    committed = await store.resources.commit(change(replica.environment_id, *create(flag(key))))
    await replica.refresh(EnvironmentHead(committed.revision, replica.view.epoch))


async def test_readers_that_are_stuck_in_their_first_set_keep_no_change_from_the_others(
    store: MongoStore, replica: Replica, join: Join
) -> None:
    pending = [join(takes=False) for _ in range(SEND_WINDOW)]
    for reader in pending:
        await reader.writer.offered.wait()
    quick = join(takes=True)
    await quick.writer.takes(1)
    await commit(store, replica, "a")
    async with asyncio.timeout(1):  # half of what a stuck reader has until it is ended
        await quick.writer.takes(2)


async def test_readers_that_are_stuck_in_a_change_keep_it_from_the_others_for_a_moment_only(
    store: MongoStore, replica: Replica, join: Join
) -> None:
    pending = [join(takes=True) for _ in range(SEND_WINDOW)]
    for reader in pending:
        await reader.writer.takes(1)
        reader.writer.valve.clear()
    quick = join(takes=True)
    await quick.writer.takes(1)
    await commit(store, replica, "a")
    async with asyncio.timeout(1):
        await quick.writer.takes(2)
    await commit(store, replica, "b")
    async with asyncio.timeout(1):
        await quick.writer.takes(3)


async def test_no_more_sends_than_the_window_are_outstanding_at_once(
    store: MongoStore, replica: Replica, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.evaluation.broadcast.writes.PLACE_SECONDS", PATIENCE)
    many = [join(takes=True) for _ in range(2 * SEND_WINDOW)]
    for reader in many:
        await reader.writer.takes(1)
        reader.writer.offered.clear()
        reader.writer.valve.clear()
    await commit(store, replica, "a")
    async with asyncio.timeout(PATIENCE):
        for reader in many[:SEND_WINDOW]:
            await reader.writer.offered.wait()
    assert not any(reader.writer.offered.is_set() for reader in many[SEND_WINDOW:])
    for reader in many:
        reader.writer.valve.set()
    async with asyncio.timeout(PATIENCE):
        for reader in many:
            await reader.writer.takes(2)


async def test_closing_ends_the_sends_to_readers_that_are_stuck(
    store: MongoStore, replicas: Replicas, replica: Replica, join: Join
) -> None:
    pending = join(takes=True)
    await pending.writer.takes(1)
    pending.writer.valve.clear()
    pending.writer.offered.clear()
    await commit(store, replica, "a")
    async with asyncio.timeout(PATIENCE):
        await pending.writer.offered.wait()
        await replicas.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "driver"]


async def test_a_stream_whose_changes_cannot_be_told_ends_with_the_fault(
    store: MongoStore, replica: Replica, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = join(takes=True)
    await reader.writer.takes(1)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("services.evaluation.sync.feeds.DefinitionFeed.next", fail)
    await commit(store, replica, "a")
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait({reader.task})
    assert isinstance(reader.task.exception(), ZeroDivisionError)
