from __future__ import annotations

import asyncio

import pytest

from services.evaluation.broadcast.scheduler import RoundRobinScheduler
from services.evaluation.limits import TIME_SLICE_SECONDS


class Clock:
    """It goes on by a slice whenever a piece of work is done."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Work:
    """So many pieces, each as long as a slice."""

    def __init__(self, name: str, pieces: int, clock: Clock, done: list[str]) -> None:
        self.name, self.pieces, self._clock, self._done = name, pieces, clock, done

    def work(self, until: float) -> bool:
        while self.pieces:
            self.pieces -= 1
            self._done.append(self.name)
            self._clock.seconds += TIME_SLICE_SECONDS
            if self._clock.seconds >= until:
                break
        return self.pieces > 0


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def the_loop_runs(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_the_loop_does_its_other_work_after_each_slice(clock: Clock) -> None:
    done: list[str] = []
    RoundRobinScheduler(clock).ask(Work("push", 3, clock, done))
    for turn in range(1, 4):
        await the_loop_runs(1)
        assert len(done) == turn


async def test_environments_have_their_slices_one_after_another(clock: Clock) -> None:
    done: list[str] = []
    scheduler = RoundRobinScheduler(clock)
    for name in "abc":
        scheduler.ask(Work(name, 2, clock, done))
    await the_loop_runs(6)
    assert done == list("abcabc")


async def test_asking_twice_gives_one_turn(clock: Clock) -> None:
    done: list[str] = []
    scheduler = RoundRobinScheduler(clock)
    work, other = Work("twice", 2, clock, done), Work("once", 1, clock, done)
    scheduler.ask(work)
    scheduler.ask(other)
    scheduler.ask(work)
    await the_loop_runs(3)
    assert done == ["twice", "once", "twice"]


async def test_nobody_has_a_turn_after_the_end(clock: Clock) -> None:
    done: list[str] = []
    scheduler = RoundRobinScheduler(clock)
    scheduler.ask(Work("before", 1, clock, done))
    scheduler.close()
    scheduler.ask(Work("after", 1, clock, done))
    await the_loop_runs(2)
    assert done == []
