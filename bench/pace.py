"""What comes at a rate."""

from __future__ import annotations

import asyncio
import time


async def until_due(number: int, began: float, per_second: float) -> None:
    """Waits for the turn of ``number``; what is late, or has a rate of 0, goes at once.

    ``began`` is the turn of number 0 by `time.perf_counter`.
    """
    if per_second:
        await asyncio.sleep(began + number / per_second - time.perf_counter())
