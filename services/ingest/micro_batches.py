"""Gathers what several handlers bring, to store it together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

Store = Callable[[Sequence[T]], Awaitable[None]]
"""Stores all of them or none; raises for none."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a group is stored: at any of these."""

    weight: int
    """Of all items together, events for example; one item may weigh more."""
    items: int
    """At most; where there can be no more, nobody waits in vain."""
    linger: float
    """Seconds that the first item of a group waits for others."""
    at_once: int = 1
    """Groups that are stored side by side."""


@dataclass(eq=False, slots=True)
class _Waiting(Generic[T]):
    """An item; ``stored`` is done when its handler may return."""

    item: T
    weight: int
    since: float
    stored: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class MicroBatches(Generic[T]):
    """While groups are stored the next one gathers.

    A group that cannot be stored is halved again and again, so that what is at fault fails
    alone and the rest is stored. What waits is bounded by the handlers that bring it.
    """

    def __init__(self, store: Store[T], weigh: Callable[[T], int], bounds: Bounds) -> None:
        self._store = store
        self._weigh = weigh
        self._bounds = bounds
        self._waiting: deque[_Waiting[T]] = deque()
        self._weight = 0
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._gathering = asyncio.Lock()
        self._tasks = [
            asyncio.create_task(self._work(), name="micro-batches") for _ in range(bounds.at_once)
        ]

    async def put(self, item: T) -> None:
        """Returns when the item is stored; raises what `Store` raised for it alone."""
        entry = _Waiting(item, self._weigh(item), asyncio.get_running_loop().time())
        self._waiting.append(entry)
        self._weight += entry.weight
        self._note()
        await entry.stored

    async def close(self) -> None:
        """Stores nothing more: to be called when no handler waits any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    def _note(self) -> None:
        """Sets the events to what is true now."""
        bounds = self._bounds
        is_full = self._weight >= bounds.weight or len(self._waiting) >= bounds.items
        for event, holds in ((self._arrived, bool(self._waiting)), (self._full, is_full)):
            if holds:
                event.set()
            else:
                event.clear()

    async def _work(self) -> None:
        while True:
            async with self._gathering:
                await self._arrived.wait()
                await self._linger()
                group = self._take()
            await self._settle(group)

    async def _linger(self) -> None:
        until = self._waiting[0].since + self._bounds.linger
        try:
            async with asyncio.timeout_at(until):
                await self._full.wait()
        except TimeoutError:
            pass  # what is here is the group

    def _take(self) -> list[_Waiting[T]]:
        """As many as the bounds allow, at least one."""
        group: list[_Waiting[T]] = []
        weight = 0
        while self._waiting and len(group) < self._bounds.items:
            entry = self._waiting[0]
            if group and weight + entry.weight > self._bounds.weight:
                break
            group.append(self._waiting.popleft())
            weight += entry.weight
        self._weight -= weight
        self._note()
        return [entry for entry in group if not entry.stored.done()]  # else its handler is gone

    async def _settle(self, group: list[_Waiting[T]]) -> None:
        if not group:
            return
        try:
            await self._store([entry.item for entry in group])
        except Exception as error:  # noqa: BLE001 - whatever it is, its handler is to know
            await self._after_failure(group, error)
            return
        for entry in group:
            if not entry.stored.done():
                entry.stored.set_result(None)

    async def _after_failure(self, group: list[_Waiting[T]], error: Exception) -> None:
        if len(group) > 1:
            middle = len(group) // 2
            await self._settle(group[:middle])
            await self._settle(group[middle:])
        elif not group[0].stored.done():
            group[0].stored.set_exception(error)
