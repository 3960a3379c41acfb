"""A stream of requests, worked on side by side and answered in their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


async def map_ordered(
    requests: AsyncIterator[Q], answer: Callable[[Q], Coroutine[Any, Any, A]], *, at_once: int
) -> AsyncIterator[A]:
    """The answers. No request is read while ``at_once`` of them wait for theirs.

    Raises what ``requests`` or ``answer`` raise, after the answers before it.
    """
    free = asyncio.Semaphore(at_once)
    under_way: asyncio.Queue[asyncio.Task[A] | None] = asyncio.Queue()  # bounded by what is free

    async def read() -> None:
        async for request in requests:
            await free.acquire()
            under_way.put_nowait(asyncio.create_task(answer(request)))

    reader = asyncio.create_task(read())
    reader.add_done_callback(lambda _: under_way.put_nowait(None))
    try:
        while (task := await under_way.get()) is not None:
            try:
                yield await task
            finally:
                task.cancel()
            free.release()
        await reader
    finally:
        await _end(reader, under_way)


async def _end(
    reader: asyncio.Task[None], under_way: asyncio.Queue[asyncio.Task[A] | None]
) -> None:
    """Nobody waits for the rest."""
    tasks: list[asyncio.Task[Any]] = [reader]
    while not under_way.empty():
        if (task := under_way.get_nowait()) is not None:
            tasks.append(task)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
