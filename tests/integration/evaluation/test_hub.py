from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from services.evaluation.hub import Hub
from tests.support.waiting import PATIENCE

WINDOW = 64
STREAMS = 200


class Sleeper:
    """A stream as its hub sees it: it waits, and once woken it sends until it is settled."""

    def __init__(self, hub: Hub) -> None:
        self.cursor = hub.join()
        self._hub = hub
        self.task = self._wait()

    @property
    def awake(self) -> bool:
        return self.task.done()

    def settle(self) -> None:
        self._hub.settled(self.cursor)
        self.task = self._wait()

    def _wait(self) -> asyncio.Task[bool]:
        return asyncio.create_task(self.cursor.woken(PATIENCE))


Join = Callable[[Hub], Sleeper]


@pytest.fixture
async def join() -> AsyncIterator[Join]:
    sleepers: list[Sleeper] = []

    def joined(hub: Hub) -> Sleeper:
        sleepers.append(Sleeper(hub))
        return sleepers[-1]

    yield joined
    for sleeper in sleepers:
        sleeper.task.cancel()
    await asyncio.gather(*(sleeper.task for sleeper in sleepers), return_exceptions=True)


async def awake(sleepers: Sequence[Sleeper]) -> list[int]:
    """Which of them are awake, once the loop has nothing left to run."""
    for _ in range(4):
        await asyncio.sleep(0)
    return [index for index, sleeper in enumerate(sleepers) if sleeper.awake]


async def test_only_a_window_of_streams_is_awake_at_once(join: Join) -> None:
    hub = Hub()
    sleepers = [join(hub) for _ in range(STREAMS)]
    assert await awake(sleepers) == []
    hub.announce()
    assert await awake(sleepers) == list(range(WINDOW))


async def test_each_stream_that_has_sent_wakes_the_next_until_all_have(join: Join) -> None:
    hub = Hub()
    sleepers = [join(hub) for _ in range(STREAMS)]
    await awake(sleepers)
    hub.announce()
    for turn, sleeper in enumerate(sleepers):
        assert await awake(sleepers) == list(range(turn, min(turn + WINDOW, STREAMS)))
        sleeper.settle()
    assert await awake(sleepers) == []


async def test_a_stream_that_leaves_frees_its_place(join: Join) -> None:
    hub = Hub(window=1)
    sleepers = [join(hub) for _ in range(3)]
    await awake(sleepers)
    hub.announce()
    assert await awake(sleepers) == [0]
    hub.leave(sleepers[1].cursor)
    assert await awake(sleepers) == [0]
    hub.leave(sleepers[0].cursor)
    assert await awake(sleepers) == [0, 2]
    assert hub.cursors() == (sleepers[2].cursor,)
    assert len(hub) == 1


async def test_a_change_amid_a_round_wakes_again_who_has_sent_already(join: Join) -> None:
    hub = Hub(window=1)
    first, second = sleepers = [join(hub) for _ in range(2)]
    await awake(sleepers)
    hub.announce()
    assert await awake(sleepers) == [0]
    first.settle()
    assert await awake(sleepers) == [1]
    hub.announce()
    second.settle()
    assert await awake(sleepers) == [0]
    first.settle()
    assert await awake(sleepers) == [1]


async def test_many_changes_are_one_wake(join: Join) -> None:
    hub = Hub()
    sleeper = join(hub)
    await awake([sleeper])
    for _ in range(10):
        hub.announce()
    assert await awake([sleeper]) == [0]
    sleeper.settle()
    assert await awake([sleeper]) == []


async def test_a_stream_that_takes_long_keeps_no_place_until_it_has_settled(join: Join) -> None:
    hub = Hub(window=1)
    slow, quick = sleepers = [join(hub) for _ in range(2)]
    await awake(sleepers)
    hub.announce()
    assert await awake(sleepers) == [0]
    hub.overdue(slow.cursor)
    assert await awake(sleepers) == [0, 1]
    hub.announce()
    quick.settle()
    assert await awake(sleepers) == [0, 1]
    quick.settle()
    slow.settle()
    assert await awake(sleepers) == [0], "the second change came while it was sending the first"


async def test_a_goodbye_wakes_whatever_the_window_says_and_the_first_one_stays(
    join: Join,
) -> None:
    hub = Hub(window=1)
    sleepers = [join(hub) for _ in range(3)]
    await awake(sleepers)
    hub.announce()
    sleepers[2].cursor.end(b"first")
    sleepers[2].cursor.end(b"second")
    assert await awake(sleepers) == [0, 2]
    assert sleepers[2].cursor.goodbye == b"first"
