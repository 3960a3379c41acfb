"""While the store is away, messages wait here unacknowledged instead of failing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from services.runtime.backoff import full_jitter
from services.runtime.errors import StoreUnavailable

log = logging.getLogger(__name__)

LOW_SECONDS = 0.2
HIGH_SECONDS = 5.0

REFUSALS = 6
"""In a row, before a message is no longer thought to wait for the store."""


class CircuitBreaker:
    """Open while the store answers. One probe for all that wait, so an outage is one log line.

    ``ping`` raises `StoreUnavailable`.
    """

    def __init__(self, ping: Callable[[], Awaitable[None]]) -> None:
        self._ping = ping
        self._open = asyncio.Event()
        self._open.set()
        self.fault = ""
        """Why the gate is closed; empty while it is open."""

    async def passes(
        self, attempt: Callable[[], Awaitable[None]], *, limit: int = REFUSALS
    ) -> None:
        """Repeats ``attempt`` while the store is away; other errors go to the caller.

        So does `StoreUnavailable` after ``limit`` refusals of a store that answers otherwise:
        then it is this message that the store refuses.
        """
        waits = full_jitter(LOW_SECONDS, HIGH_SECONDS)
        refusals = 0
        while True:
            await self._open.wait()
            try:
                return await attempt()
            except StoreUnavailable:
                await self.probe()
                refusals = 0 if self.fault else refusals + 1
                if refusals == limit:
                    raise
                await asyncio.sleep(next(waits))

    async def probe(self) -> None:
        """Opens or shuts the gate after what the store says now."""
        try:
            await self._ping()
        except StoreUnavailable as error:
            self._shut(error.message)
        else:
            self._release()

    def _shut(self, fault: str) -> None:
        if not self.fault:
            log.warning("the store is away, messages wait: %s", fault)
        self.fault = fault
        self._open.clear()

    def _release(self) -> None:
        if self.fault:
            log.info("the store is back")
        self.fault = ""
        self._open.set()
