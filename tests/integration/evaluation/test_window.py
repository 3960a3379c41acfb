from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from services.evaluation.feeds import DefinitionFeed
from services.evaluation.limits import SEND_WINDOW
from services.evaluation.replica import Replica
from services.evaluation.stream import Pace, Stream
from services.storage.model import Environment
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import change, create, flag
from tests.support.waiting import PATIENCE


class Reader:
    """A stream's other side, which takes frames while its valve is open."""

    def __init__(self, replica: Replica) -> None:
        self.valve = asyncio.Event()
        self.offered = asyncio.Event()
        self.taken = 0
        self.got = asyncio.Condition()
        stream = Stream(replica, DefinitionFeed(), Pace(), lambda: 0)
        self.task = asyncio.create_task(stream.run(0, self.write))

    async def write(self, _frame: bytes) -> None:
        self.offered.set()
        await self.valve.wait()
        async with self.got:
            self.taken += 1
            self.got.notify_all()

    async def takes(self, count: int) -> None:
        async with self.got:
            await self.got.wait_for(lambda: self.taken >= count)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


@pytest.fixture
async def replica(store: MongoStore, environment: Environment) -> Replica:
    return await Replica.load(store.definitions, environment.id)


@pytest.fixture
async def readers() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def join(replica: Replica, readers: AsyncExitStack, *, takes: bool) -> Reader:
    reader = Reader(replica)
    if takes:
        reader.valve.set()
    readers.push_async_callback(reader.close)
    return reader


async def commit(store: MongoStore, replica: Replica, key: str) -> None:
    committed = await store.items.commit(change(replica.environment_id, *create(flag(key))))
    await replica.refresh(committed.revision)


async def test_readers_that_are_stuck_in_their_first_set_keep_no_change_from_the_others(
    store: MongoStore, replica: Replica, readers: AsyncExitStack
) -> None:
    stuck = [join(replica, readers, takes=False) for _ in range(SEND_WINDOW)]
    for reader in stuck:
        await reader.offered.wait()
    quick = join(replica, readers, takes=True)
    await quick.takes(1)
    await commit(store, replica, "a")
    async with asyncio.timeout(1):  # half of what a stuck reader has until it is ended
        await quick.takes(2)


async def test_readers_that_are_stuck_in_a_change_keep_it_from_the_others_for_a_moment_only(
    store: MongoStore, replica: Replica, readers: AsyncExitStack
) -> None:
    stuck = [join(replica, readers, takes=True) for _ in range(SEND_WINDOW)]
    for reader in stuck:
        await reader.takes(1)
        reader.valve.clear()
    quick = join(replica, readers, takes=True)
    await quick.takes(1)
    await commit(store, replica, "a")
    async with asyncio.timeout(1):
        await quick.takes(2)
    await commit(store, replica, "b")
    async with asyncio.timeout(1):
        await quick.takes(3)


async def test_no_more_sends_than_the_window_are_outstanding_at_once(
    store: MongoStore,
    replica: Replica,
    readers: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.evaluation.stream.PLACE_SECONDS", PATIENCE)
    many = [join(replica, readers, takes=True) for _ in range(2 * SEND_WINDOW)]
    for reader in many:
        await reader.takes(1)
        reader.offered.clear()
        reader.valve.clear()
    await commit(store, replica, "a")
    async with asyncio.timeout(PATIENCE):
        for reader in many[:SEND_WINDOW]:
            await reader.offered.wait()
    assert not any(reader.offered.is_set() for reader in many[SEND_WINDOW:])
    for reader in many:
        reader.valve.set()
    async with asyncio.timeout(PATIENCE):
        for reader in many:
            await reader.takes(2)
