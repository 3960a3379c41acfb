from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.evaluation.broadcast.writes import Send, Sends, SlowReader
from services.evaluation.limits import PLACE_SECONDS, WRITE_SECONDS
from services.evaluation.sync.admission import Admission
from tests.support.streams import Clock, ReaderWire
from tests.support.waiting import PATIENCE

FRAMES = (b"one", b"two")
MOMENT = 0.01


class Sender:
    """A task that sends `FRAMES`, to a reader that takes nothing until it is told to."""

    def __init__(self, sends: Sends, *, times: int = 1) -> None:
        self.wire = ReaderWire(takes=False)
        self.overdue = 0
        self.failures: list[SlowReader] = []
        self.task = asyncio.create_task(self._run(sends, times))

    def take(self) -> None:
        self.wire.valve.set()

    async def is_stuck(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.wire.offered.wait()
        self.wire.offered.clear()

    async def ended(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({self.task})

    async def _run(self, sends: Sends, times: int) -> None:
        with Send(sends, self._is_overdue) as send:
            for _ in range(times):
                try:
                    await send.send(FRAMES, self.wire)
                except SlowReader as error:
                    self.failures.append(error)

    def _is_overdue(self) -> None:
        self.overdue += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sends(clock: Clock) -> AsyncIterator[Sends]:
    opened = Sends(clock)
    yield opened
    await opened.close()
    assert opened.active == set()


async def test_a_place_is_kept_for_a_while_and_then_given_away_once(
    sends: Sends, clock: Clock
) -> None:
    sender = Sender(sends)
    await sender.is_stuck()
    clock.move(PLACE_SECONDS - MOMENT)
    sends.look()
    assert sender.overdue == 0
    for _ in range(3):
        clock.move(2 * MOMENT)
        sends.look()
        assert sender.overdue == 1
    sender.take()
    await sender.ended()
    assert sender.wire.frames == list(FRAMES)


async def test_who_takes_nothing_for_too_long_is_a_slow_reader(sends: Sends, clock: Clock) -> None:
    sender = Sender(sends)
    await sender.is_stuck()
    clock.move(WRITE_SECONDS - MOMENT)
    sends.look()
    await asyncio.sleep(0)
    assert not sender.failures
    clock.move(2 * MOMENT)
    sends.look()
    await sender.ended()
    assert [error.reason for error in sender.failures] == ["SLOW_READER"]


async def test_each_frame_has_the_whole_time(sends: Sends, clock: Clock) -> None:
    sender = Sender(sends)
    for _ in FRAMES:
        await sender.is_stuck()
        clock.move(WRITE_SECONDS - MOMENT)
        sends.look()
        sender.take()
        await sender.wire.takes(1)
        sender.wire.valve.clear()
    sender.take()
    await sender.ended()
    assert sender.failures == []


async def test_the_task_sends_on_after_a_slow_reader(sends: Sends, clock: Clock) -> None:
    sender = Sender(sends, times=3)
    for _ in range(2):
        await sender.is_stuck()
        clock.move(WRITE_SECONDS + MOMENT)
        sends.look()
    await sender.is_stuck()
    sender.take()
    await sender.ended()
    assert len(sender.failures) == 2
    assert sender.wire.frames == list(FRAMES)
    assert sender.task.cancelling() == 0


@pytest.mark.parametrize("owner_is_first", [True, False])
async def test_a_task_that_its_owner_cancels_in_the_moment_of_a_slow_reader_is_cancelled(
    sends: Sends, clock: Clock, owner_is_first: bool
) -> None:
    sender = Sender(sends, times=2)
    await sender.is_stuck()
    clock.move(WRITE_SECONDS + MOMENT)
    if owner_is_first:
        sender.task.cancel()
        sends.look()
    else:
        sends.look()
        sender.task.cancel()
    await sender.ended()
    assert sender.task.cancelled()


async def test_a_first_set_that_takes_long_gives_its_place(sends: Sends, clock: Clock) -> None:
    admission, wire = Admission(places=1, patience=PATIENCE), ReaderWire(takes=False)
    admitted: list[str] = []

    async def first_set() -> None:
        async with admission.turn("a") as place:
            with Send(sends, place.give_back) as send:
                await send.send(FRAMES, wire)

    async def another() -> None:
        async with admission.turn("a"):
            admitted.append("another")

    slow = asyncio.create_task(first_set())
    async with asyncio.timeout(PATIENCE):
        await wire.offered.wait()
        quick = asyncio.create_task(another())
        clock.move(PLACE_SECONDS + MOMENT)
        sends.look()
        await quick
        assert not slow.done()
        wire.valve.set()
        await slow


async def test_a_driver_runs_to_its_end_or_to_that_of_all(sends: Sends) -> None:
    ran: list[str] = []

    async def drive(name: str, gate: asyncio.Event) -> None:
        try:
            await gate.wait()
        finally:
            ran.append(name)

    opened, shut = asyncio.Event(), asyncio.Event()
    opened.set()
    sends.drive(drive("ends", opened))
    sends.drive(drive("is cancelled", shut))
    await asyncio.sleep(0)
    await sends.close()
    sends.drive(drive("comes too late", opened))
    await asyncio.sleep(0)
    assert ran == ["ends", "is cancelled"]
