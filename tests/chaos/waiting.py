"""Waiting within bounds for what other processes do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

RECOVERY: Final = 120.0
"""Seconds in which the mesh must be whole again after a fault; more is a finding."""

_LOOK_EVERY: Final = 0.05


class NeverCame(Exception):
    """Something that must happen did not, within the bound that its message names."""


async def until(
    look: Callable[[], Awaitable[T | None]], what: str, *, seconds: float = RECOVERY
) -> T:
    """The first answer that is true; raises `NeverCame`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not (answer := await look()):
        if loop.time() > deadline:
            raise NeverCame(f"after {seconds:g} s it is still not so that {what}")
        await asyncio.sleep(_LOOK_EVERY)
    return answer
