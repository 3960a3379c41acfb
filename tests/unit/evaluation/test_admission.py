from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.evaluation.sync.admission import Admission, Permit, TooManyFirstSyncs
from tests.support.waiting import PATIENCE

PLACES = 2


class RoundRobinScheduler:
    """Streams that take turns and hold their place until they are told to go on."""

    def __init__(self, admission: Admission) -> None:
        self.order: list[str] = []
        self._admission = admission
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leave: dict[str, asyncio.Event] = {}
        self._places: dict[str, Permit] = {}

    async def ask(self, *names: str) -> None:
        """Each stream's environment is the first letter of its name."""
        for name in names:
            self._leave[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._take(name))
            await self.settle()

    async def finish(self, *names: str) -> None:
        for name in names:
            self._leave[name].set()
            await self._tasks[name]
            await self.settle()

    async def cancel(self, *names: str) -> None:
        for name in names:
            self._tasks[name].cancel()
        await self.settle()

    async def refusal(self, name: str) -> BaseException | None:
        await asyncio.wait({self._tasks[name]}, timeout=PATIENCE)
        return self._tasks[name].exception()

    def give_back(self, name: str) -> None:
        self._places[name].give_back()

    async def settle(self) -> None:
        """Returns when the loop has nothing left to run."""
        for _ in range(8):
            await asyncio.sleep(0)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _take(self, name: str) -> None:
        async with self._admission.turn(name[0]) as permit:
            self._places[name] = permit
            self.order.append(name)
            await self._leave[name].wait()


@pytest.fixture
async def scheduler() -> AsyncIterator[RoundRobinScheduler]:
    opened = RoundRobinScheduler(Admission(places=PLACES, timeout=PATIENCE))
    yield opened
    await opened.close()


async def all_places_are_there(scheduler: RoundRobinScheduler) -> None:
    """As many as at first find one at once, and no more."""
    del scheduler.order[:]
    await scheduler.ask("x1", "x2", "x3")
    assert scheduler.order == ["x1", "x2"]


async def test_only_so_many_have_a_place_at_once(scheduler: RoundRobinScheduler) -> None:
    await scheduler.ask("a1", "a2", "a3", "a4")
    assert scheduler.order == ["a1", "a2"]
    await scheduler.finish("a2")
    assert scheduler.order == ["a1", "a2", "a3"]
    await scheduler.finish("a1", "a3")
    assert scheduler.order == ["a1", "a2", "a3", "a4"]


async def test_environments_take_turns_however_many_streams_one_has(
    scheduler: RoundRobinScheduler,
) -> None:
    await scheduler.ask("a1", "a2", "a3", "a4", "a5", "b1", "b2", "c1")
    await scheduler.finish("a1", "a2", "a3", "b1", "c1", "a4")
    assert scheduler.order == ["a1", "a2", "a3", "b1", "c1", "a4", "b2", "a5"]


async def test_who_comes_late_passes_none_that_waits(scheduler: RoundRobinScheduler) -> None:
    await scheduler.ask("a1", "a2", "a3")
    scheduler.give_back("a1")
    await scheduler.ask("b1")
    await scheduler.finish("a2")
    assert scheduler.order == ["a1", "a2", "a3", "b1"]


async def test_who_waits_no_more_takes_no_turn_of_its_environment(
    scheduler: RoundRobinScheduler,
) -> None:
    await scheduler.ask("a1", "a2", "b1", "b2", "b3", "c1", "c2")
    await scheduler.cancel("b1", "b2")
    await scheduler.finish("a1", "a2")
    assert scheduler.order == ["a1", "a2", "b3", "c1"]


async def test_a_place_given_to_one_that_is_cancelled_in_the_same_moment_goes_on(
    scheduler: RoundRobinScheduler,
) -> None:
    await scheduler.ask("a1", "a2", "a3", "a4")
    scheduler.give_back("a1")
    await scheduler.cancel("a3")
    assert scheduler.order == ["a1", "a2", "a4"]
    await scheduler.finish("a1", "a2", "a4")
    await all_places_are_there(scheduler)


async def test_thousands_that_are_cancelled_in_the_moment_of_a_place_lose_none(
    scheduler: RoundRobinScheduler,
) -> None:
    await scheduler.ask("a1", "a2")
    crowd = [f"{'bcd'[number % 3]}{number}" for number in range(3_000)]
    async with asyncio.TaskGroup() as group:
        for name in crowd:
            group.create_task(scheduler.ask(name))
    cancelled = asyncio.create_task(scheduler.cancel(*crowd))
    await asyncio.sleep(0)
    scheduler.give_back("a1")
    await cancelled
    await scheduler.finish("a1", "a2")
    await all_places_are_there(scheduler)


async def test_a_place_given_to_the_only_one_that_is_cancelled_in_the_same_moment_is_free(
    scheduler: RoundRobinScheduler,
) -> None:
    await scheduler.ask("a1", "a2", "a3")
    scheduler.give_back("a1")
    await scheduler.cancel("a3")
    await scheduler.finish("a1", "a2")
    await all_places_are_there(scheduler)


async def test_who_is_cancelled_before_its_place_is_given_does_not_get_it(
    scheduler: RoundRobinScheduler,
) -> None:
    await scheduler.ask("a1", "a2", "a3", "a4")
    cancelled = asyncio.create_task(scheduler.cancel("a3"))
    await asyncio.sleep(0)
    scheduler.give_back("a1")
    await cancelled
    assert scheduler.order == ["a1", "a2", "a4"]


async def test_who_waits_too_long_is_refused_and_loses_no_place() -> None:
    scheduler = RoundRobinScheduler(Admission(places=PLACES, timeout=0))
    await scheduler.ask("a1", "a2", "a3")
    refusal = await scheduler.refusal("a3")
    assert isinstance(refusal, TooManyFirstSyncs)
    assert refusal.reason == "TOO_MANY_FIRST_SYNCS"
    await scheduler.finish("a1", "a2")
    await all_places_are_there(scheduler)
    await scheduler.close()


async def test_a_place_that_is_given_back_twice_is_one(scheduler: RoundRobinScheduler) -> None:
    await scheduler.ask("a1", "a2", "a3", "a4", "a5")
    for _ in range(3):
        scheduler.give_back("a1")
    await scheduler.finish("a1")
    assert scheduler.order == ["a1", "a2", "a3"]


async def test_a_place_comes_back_from_a_turn_that_fails(scheduler: RoundRobinScheduler) -> None:
    await scheduler.ask("a1", "a2", "a3")
    await scheduler.cancel("a1", "a2")
    assert scheduler.order == ["a1", "a2", "a3"]
    await scheduler.finish("a3")
    await all_places_are_there(scheduler)
