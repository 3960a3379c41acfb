"""Waiting between tries: full jitter, as in AWS's "Exponential Backoff And Jitter"."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from services.runtime.errors import Unavailable

T = TypeVar("T")

log = logging.getLogger(__name__)


def full_jitter(low: float, high: float) -> Iterator[float]:
    """Endless waits in seconds: each is random up to a bound that doubles to ``high``."""
    bound = low
    while True:
        yield random.uniform(0, bound)  # noqa: S311 -- spreads load, keeps no secret
        bound = min(bound * 2, high)


async def wait_at_most(seconds: float, event: asyncio.Event) -> None:
    """Returns when the event is set, or when the time is over."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


async def until_available(
    attempt: Callable[[], Awaitable[T]], *, what: str, low: float = 0.2, high: float = 5.0
) -> T:
    """Repeats ``attempt`` while it raises `Unavailable`.

    ``what`` names the variable and the address for the log (``FEATMESH_MONGODB_URI
    (127.0.0.1:27017)``); the first failure of an outage is logged, and its end.
    """
    waits = full_jitter(low, high)
    failed = False
    while True:
        try:
            result = await attempt()
        except Unavailable as error:
            if not failed:
                log.warning("%s is not available, trying again: %s", what, error.message)
            failed = True
            await asyncio.sleep(next(waits))
        else:
            if failed:
                log.info("%s is available", what)
            return result
