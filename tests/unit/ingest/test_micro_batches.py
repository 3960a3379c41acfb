from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from services.ingest.micro_batches import Bounds, MicroBatches
from tests.support.waiting import PATIENCE

NEVER = 3_600.0


class Shelf:
    """A store that keeps groups, refuses those with something bad in it, and can be held up."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_store = asyncio.Event()
        self.may_store.set()
        self.began = asyncio.Event()
        self.under_way = 0

    async def __call__(self, items: Sequence[int]) -> None:
        self.began.set()
        self.under_way += 1
        await self.may_store.wait()
        self.under_way -= 1
        if any(item < 0 for item in items):
            raise ValueError(f"cannot store {list(items)}")
        self.groups.append(list(items))


@asynccontextmanager
async def gathering(shelf: Shelf, bounds: Bounds) -> AsyncIterator[MicroBatches[int]]:
    together = MicroBatches(shelf, abs, bounds)
    try:
        async with asyncio.timeout(PATIENCE):
            yield together
    finally:
        await together.close()


async def test_what_comes_within_the_linger_is_stored_together() -> None:
    shelf = Shelf()
    async with gathering(shelf, Bounds(1_000, 1_000, linger=0.01)) as together:
        await asyncio.gather(*(together.put(item) for item in (1, 2, 3)))
    assert shelf.groups == [[1, 2, 3]]


@pytest.mark.parametrize("bounds", [Bounds(6, 1_000, NEVER), Bounds(1_000, 3, NEVER)])
async def test_a_group_that_is_full_waits_for_nothing(bounds: Bounds) -> None:
    shelf = Shelf()
    async with gathering(shelf, bounds) as together:
        await asyncio.gather(*(together.put(item) for item in (1, 2, 3)))
    assert shelf.groups == [[1, 2, 3]]


async def test_what_comes_while_a_group_is_stored_is_the_next_group() -> None:
    shelf = Shelf()
    shelf.may_store.clear()
    async with (
        gathering(shelf, Bounds(1_000, 2, linger=NEVER)) as together,
        asyncio.TaskGroup() as g,
    ):
        for item in (1, 2):
            g.create_task(together.put(item))
        await shelf.began.wait()
        for item in (3, 4):
            g.create_task(together.put(item))
        shelf.may_store.set()
    assert shelf.groups == [[1, 2], [3, 4]]


async def test_a_group_takes_no_more_than_the_bound_unless_one_item_is_larger() -> None:
    shelf = Shelf()
    async with gathering(shelf, Bounds(5, 1_000, linger=0.01)) as together:
        await asyncio.gather(*(together.put(item) for item in (3, 3, 9, 2, 2)))
    assert shelf.groups == [[3], [3], [9], [2, 2]]


async def test_one_bad_item_fails_alone_with_its_own_reason() -> None:
    shelf = Shelf()
    items = [1, 2, -3, 4, 5, 6, 7, -8]
    async with gathering(shelf, Bounds(1_000, len(items), NEVER)) as together:
        outcomes = await asyncio.gather(
            *(together.put(item) for item in items), return_exceptions=True
        )
    assert [str(one) for one in outcomes if one] == ["cannot store [-3]", "cannot store [-8]"]
    assert sorted(item for group in shelf.groups for item in group) == [1, 2, 4, 5, 6, 7]


async def test_an_item_whose_handler_is_gone_is_not_stored() -> None:
    shelf = Shelf()
    async with gathering(shelf, Bounds(1_000, 2, NEVER)) as together:
        gone = asyncio.create_task(together.put(1))
        staying = asyncio.create_task(together.put(1))
        await asyncio.sleep(0)  # both have put theirs down, and nothing is taken yet
        gone.cancel()
        await staying
    assert shelf.groups == [[1]]


async def test_two_groups_are_stored_side_by_side_and_a_third_waits() -> None:
    shelf = Shelf()
    shelf.may_store.clear()
    bounds = Bounds(1_000, 1, NEVER, at_once=2)
    async with gathering(shelf, bounds) as together, asyncio.TaskGroup() as handlers:
        for item in (1, 2, 3):
            handlers.create_task(together.put(item))
        while shelf.under_way < 2:  # noqa: ASYNC110 - they begin when the loop gets to them
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert shelf.under_way == 2
        shelf.may_store.set()
    assert sorted(shelf.groups) == [[1], [2], [3]]
