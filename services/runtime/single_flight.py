"""Reads that concurrent callers share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """At most one read under way for each key; a caller that goes away does not end it."""

    def __init__(self, read: Callable[[str], Coroutine[Any, Any, T]]) -> None:
        self._read = read
        self._under_way: dict[str, asyncio.Task[T]] = {}

    async def get(self, key: str) -> T:
        """What the read under way, or a new one, returns or raises."""
        task = self._under_way.get(key)
        if task is None or task.done():
            task = asyncio.create_task(self._read(key), name="shared read")
            self._under_way[key] = task
            task.add_done_callback(lambda ended: self._forget(key, ended))
        return await asyncio.shield(task)

    def under_way(self, key: str) -> bool:
        """Whether a read of this key has begun and not ended."""
        task = self._under_way.get(key)
        return task is not None and not task.done()

    def _forget(self, key: str, task: asyncio.Task[T]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]

    async def close(self) -> None:
        """Cancels reads under way."""
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
