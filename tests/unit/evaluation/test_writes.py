from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.evaluation.broadcast.writes import Send, SlowReader, WriteWatchdog
from services.evaluation.limits import PLACE_SECONDS, WRITE_SECONDS
from services.evaluation.sync.admission import Admission
from tests.support.streams import Clock, ReaderWire
from tests.support.waiting import PATIENCE

FRAMES = (b"one", b"two")
MOMENT = 0.01


class Sender:
    """A task that sends `FRAMES`, to a reader that takes nothing until it is told to."""

    def __init__(self, watchdog: WriteWatchdog, *, times: int = 1) -> None:
        self.writer = ReaderWire(takes=False)
        self.overdue = 0
        self.failures: list[SlowReader] = []
        self.task = asyncio.create_task(self._run(watchdog, times))

    def take(self) -> None:
        self.writer.valve.set()

    async def is_stuck(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.writer.offered.wait()
        self.writer.offered.clear()

    async def ended(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({self.task})

    async def _run(self, watchdog: WriteWatchdog, times: int) -> None:
        with Send(watchdog, self._is_overdue) as send:
            for _ in range(times):
                try:
                    await send.send(FRAMES, self.writer)
                except SlowReader as error:
                    self.failures.append(error)

    def _is_overdue(self) -> None:
        self.overdue += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def watchdog(clock: Clock) -> AsyncIterator[WriteWatchdog]:
    opened = WriteWatchdog(clock)
    yield opened
    await opened.close()
    assert opened.active == set()


async def test_a_place_is_kept_for_a_while_and_then_given_away_once(
    watchdog: WriteWatchdog, clock: Clock
) -> None:
    sender = Sender(watchdog)
    await sender.is_stuck()
    clock.move(PLACE_SECONDS - MOMENT)
    watchdog.look()
    assert sender.overdue == 0
    for _ in range(3):
        clock.move(2 * MOMENT)
        watchdog.look()
        assert sender.overdue == 1
    sender.take()
    await sender.ended()
    assert sender.writer.frames == list(FRAMES)


async def test_who_takes_nothing_for_too_long_is_a_slow_reader(
    watchdog: WriteWatchdog, clock: Clock
) -> None:
    sender = Sender(watchdog)
    await sender.is_stuck()
    clock.move(WRITE_SECONDS - MOMENT)
    watchdog.look()
    await asyncio.sleep(0)
    assert not sender.failures
    clock.move(2 * MOMENT)
    watchdog.look()
    await sender.ended()
    assert [error.reason for error in sender.failures] == ["SLOW_READER"]


async def test_each_frame_has_the_whole_time(watchdog: WriteWatchdog, clock: Clock) -> None:
    sender = Sender(watchdog)
    for _ in FRAMES:
        await sender.is_stuck()
        clock.move(WRITE_SECONDS - MOMENT)
        watchdog.look()
        sender.take()
        await sender.writer.takes(1)
        sender.writer.valve.clear()
    sender.take()
    await sender.ended()
    assert sender.failures == []


async def test_the_task_sends_on_after_a_slow_reader(watchdog: WriteWatchdog, clock: Clock) -> None:
    sender = Sender(watchdog, times=3)
    for _ in range(2):
        await sender.is_stuck()
        clock.move(WRITE_SECONDS + MOMENT)
        watchdog.look()
    await sender.is_stuck()
    sender.take()
    await sender.ended()
    assert len(sender.failures) == 2
    assert sender.writer.frames == list(FRAMES)
    assert sender.task.cancelling() == 0


@pytest.mark.parametrize("owner_is_first", [True, False])
async def test_a_task_that_its_owner_cancels_in_the_moment_of_a_slow_reader_is_cancelled(
    watchdog: WriteWatchdog, clock: Clock, owner_is_first: bool
) -> None:
    sender = Sender(watchdog, times=2)
    await sender.is_stuck()
    clock.move(WRITE_SECONDS + MOMENT)
    if owner_is_first:
        sender.task.cancel()
        watchdog.look()
    else:
        watchdog.look()
        sender.task.cancel()
    await sender.ended()
    assert sender.task.cancelled()


async def test_a_first_set_that_takes_long_gives_its_place(
    watchdog: WriteWatchdog, clock: Clock
) -> None:
    admission, writer = Admission(places=1, timeout=PATIENCE), ReaderWire(takes=False)
    admitted: list[str] = []

    async def first_set() -> None:
        async with admission.turn("a") as place:
            with Send(watchdog, place.give_back) as send:
                await send.send(FRAMES, writer)

    async def another() -> None:
        async with admission.turn("a"):
            admitted.append("another")

    slow = asyncio.create_task(first_set())
    async with asyncio.timeout(PATIENCE):
        await writer.offered.wait()
        quick = asyncio.create_task(another())
        clock.move(PLACE_SECONDS + MOMENT)
        watchdog.look()
        await quick
        assert not slow.done()
        writer.valve.set()
        await slow


async def test_a_driver_runs_to_its_end_or_to_that_of_all(watchdog: WriteWatchdog) -> None:
    ran: list[str] = []

    async def spawn(name: str, gate: asyncio.Event) -> None:
        try:
            await gate.wait()
        finally:
            ran.append(name)

    opened, shut = asyncio.Event(), asyncio.Event()
    opened.set()
    watchdog.spawn(spawn("ends", opened))
    watchdog.spawn(spawn("is cancelled", shut))
    await asyncio.sleep(0)
    await watchdog.close()
    watchdog.spawn(spawn("comes too late", opened))
    await asyncio.sleep(0)
    assert ran == ["ends", "is cancelled"]
