from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from featmesh.sync.v1 import sync_pb2
from services.evaluation.broadcast.writes import WriteWatchdog
from services.evaluation.replica.replica import Replica, Replicas
from services.evaluation.sync.admission import Admission
from services.evaluation.sync.stream import StreamDeps
from services.evaluation.sync.timers import TICK_SECONDS, StreamTimers, TimerSettings
from services.storage.model.definitions import EnvironmentHead
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import change, create, flag
from tests.support.resources import Environment
from tests.support.streams import Clock, Reader
from tests.support.waiting import PATIENCE

PACE = TimerSettings(heartbeat=20.0, max_age=200.0)
SHORTEST, LONGEST = 20.0, 24.0
"""Silence before a heartbeat."""

Frame = sync_pb2.SyncDefinitionsResponse


class Scene:
    """Streams of one environment whose pacer ticks when the test moves the clock."""

    def __init__(self, replica: Replica, watchdog: WriteWatchdog, clock: Clock) -> None:
        self.replica = replica
        self.timers = StreamTimers(PACE, watchdog)
        self.readers: list[Reader] = []
        self._clock = clock
        self._deps = StreamDeps(watchdog, self.timers, Admission(), lambda: 7)

    async def join(self, count: int = 1) -> list[Reader]:
        joined = [Reader(self.replica, self._deps) for _ in range(count)]
        self.readers += joined
        for reader in joined:
            await reader.writer.takes(1)
        await settle()
        return joined

    def enrolled(self) -> int:
        """Streams that the pacer will visit."""
        return sum(map(len, self.timers._slots.values()))

    async def pass_time(self, seconds: float) -> None:
        """In steps of a tick."""
        for _ in range(round(seconds / TICK_SECONDS)):
            self._clock.move(TICK_SECONDS)
            await self.timers.tick()
        await settle()

    async def jump(self, seconds: float) -> None:
        """As when the process was not given the processor for so long."""
        self._clock.move(seconds)
        await self.timers.tick()
        await settle()


async def settle() -> None:
    """Returns when the loop has nothing left to run."""
    for _ in range(20):
        await asyncio.sleep(0)


def kinds(reader: Reader) -> list[str | None]:
    return [Frame.FromString(frame).WhichOneof("frame") for frame in reader.writer.frames]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def scene(store: MongoStore, environment: Environment, clock: Clock) -> AsyncIterator[Scene]:
    replicas = Replicas(store.definitions)
    replicas.watchdog.now = clock
    scene = Scene(await replicas.get(environment.id), replicas.watchdog, clock)
    yield scene
    for reader in scene.readers:
        await reader.close()
    assert not scene.enrolled()
    await replicas.close()


async def commit(store: MongoStore, replica: Replica, key: str) -> None:
    committed = await store.resources.commit(change(replica.environment_id, *create(flag(key))))
    await replica.refresh(EnvironmentHead(committed.revision, replica.view.epoch))


async def test_a_heartbeat_comes_after_silence_and_not_before(scene: Scene) -> None:
    (reader,) = await scene.join()
    await scene.pass_time(SHORTEST - TICK_SECONDS)
    assert kinds(reader) == ["change_set"]
    await scene.pass_time(LONGEST - SHORTEST + TICK_SECONDS)
    assert kinds(reader) == ["change_set", "heartbeat"]
    heartbeat = Frame.FromString(reader.writer.frames[-1]).heartbeat
    assert (heartbeat.revision, heartbeat.server_time_ms) == (scene.replica.view.revision, 7)


async def test_heartbeats_go_on_for_as_long_as_the_silence(scene: Scene) -> None:
    (reader,) = await scene.join()
    await scene.pass_time(4 * LONGEST)
    assert 3 <= kinds(reader).count("heartbeat") <= 4 * LONGEST / SHORTEST


async def test_a_push_puts_the_heartbeat_off(store: MongoStore, scene: Scene) -> None:
    (reader,) = await scene.join()
    for number in range(4):
        await scene.pass_time(SHORTEST - TICK_SECONDS)
        await commit(store, scene.replica, f"f{number}")
        await reader.writer.takes(number + 2)
        await settle()
    assert "heartbeat" not in kinds(reader)
    await scene.pass_time(SHORTEST - TICK_SECONDS)
    assert "heartbeat" not in kinds(reader)
    await scene.pass_time(LONGEST - SHORTEST + TICK_SECONDS)
    assert kinds(reader)[-1] == "heartbeat"


async def test_a_stream_ends_with_a_goodbye_near_its_age(scene: Scene) -> None:
    (reader,) = await scene.join()
    await scene.pass_time(0.8 * PACE.max_age - TICK_SECONDS)
    assert not reader.task.done()
    await scene.pass_time(0.1 * PACE.max_age + 3 * TICK_SECONDS)
    async with asyncio.timeout(PATIENCE):
        await reader.task
    goodbye = Frame.FromString(reader.writer.frames[-1]).goodbye
    assert goodbye.reason == sync_pb2.GOODBYE_REASON_MAX_AGE
    assert kinds(reader).count("goodbye") == 1


async def test_a_stream_that_has_ended_is_forgotten(scene: Scene) -> None:
    gone, stays = await scene.join(2)
    await gone.close()
    assert scene.enrolled() == 1
    await scene.pass_time(LONGEST + 3 * TICK_SECONDS)
    assert (kinds(gone), kinds(stays)) == (["change_set"], ["change_set", "heartbeat"])


async def test_heartbeats_of_many_streams_are_spread(scene: Scene) -> None:
    readers = await scene.join(300)
    await scene.pass_time(SHORTEST)
    most = beaten = 0
    for _ in range(round((LONGEST - SHORTEST) / TICK_SECONDS) + 3):
        await scene.pass_time(TICK_SECONDS)
        now = sum("heartbeat" in kinds(reader) for reader in readers)
        most, beaten = max(most, now - beaten), now
    assert beaten == len(readers)
    assert most < len(readers) / 3, "with equal chances a seventh is in each of seven ticks"


async def test_a_tick_that_comes_late_leaves_nobody_out(scene: Scene) -> None:
    readers = await scene.join(20)
    for beats in range(1, 4):
        await scene.jump(2 * LONGEST)
        assert [kinds(reader).count("heartbeat") for reader in readers] == [beats] * 20
    await scene.jump(PACE.max_age)
    assert [kinds(reader)[-1] for reader in readers] == ["goodbye"] * 20


async def test_a_stream_that_joins_amid_a_late_tick_is_not_left_out(
    scene: Scene, clock: Clock
) -> None:
    await scene.join()
    clock.move(LONGEST)
    ticking = asyncio.create_task(scene.timers.tick())
    await asyncio.sleep(0)
    (late,) = await scene.join()
    await ticking
    await scene.pass_time(LONGEST + 3 * TICK_SECONDS)
    assert kinds(late) == ["change_set", "heartbeat"]
