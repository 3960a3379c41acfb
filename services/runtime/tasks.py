"""Owner of background tasks: a crash is loud, closing leaves none behind."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

log = logging.getLogger(__name__)

_PHASE: Final = random.uniform(0, 60)  # noqa: S311 -- processes beat at different times
EARLY_SECONDS: Final = 0.002
"""A timer may be so early: its beat is not to be had twice."""


class Tasks:
    """Background tasks of one service, for as long as the service lives.

    None of them may end by itself with an error: that is a fault of ours, is logged in
    full, and sets `crashed`, on which the program stops and is started anew.
    """

    def __init__(self) -> None:
        self.crashed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Runs ``work`` until it returns or `close` cancels it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("task %s crashed", task.get_name(), exc_info=error)
            self.crashed.set()

    async def close(self) -> None:
        """Cancels what still runs and waits for it."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def repeat(work: Callable[[], Awaitable[None]], *, seconds: float, what: str) -> None:
    """Runs ``work`` every so many ``seconds``, until it is cancelled; 0 is without a pause.

    What has the same rhythm, or a multiple of it, has its turn together in one process: being
    woken for each costs an idle service more than most of the work.

    An error that ``work`` did not expect ends nothing: it is logged in full, once for as
    long as it is the same, and the next turn may do better.
    """
    fault = ""
    while True:
        try:
            await work()
        except Exception as error:
            if fault != (fault := repr(error)):
                log.error("%s failed and is tried again", what, exc_info=error)
        else:
            fault = ""
        await asyncio.sleep(until_next(seconds, time.monotonic() + _PHASE))


def until_next(seconds: float, now: float) -> float:
    """Until the next beat of such a rhythm; 0 without a rhythm."""
    if not seconds:
        return 0.0
    rest = seconds - now % seconds
    return rest if rest > EARLY_SECONDS else rest + seconds
