"""First change sets, a bounded number at once and fair between environments.

After a restart thousands of SDKs come at once, each for a set of maybe megabytes. Those that
find no place wait their turn; environments take turns, so that a big one starves no small one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from services.evaluation.limits import FIRST_SYNC_PATIENCE, FIRST_SYNCS
from services.runtime.errors import ResourceExhausted

_GIVEN: Final = True


class TooManyFirstSyncs(ResourceExhausted):
    """The stream found no place in time; the SDK may try again."""

    reason = "TOO_MANY_FIRST_SYNCS"


class Permit:
    """Leave to send a first change set; giving it back twice is harmless."""

    __slots__ = ("_admission",)

    def __init__(self, admission: Admission) -> None:
        self._admission: Admission | None = admission

    def give_back(self) -> None:
        """The next one's turn."""
        if self._admission is not None:
            admission, self._admission = self._admission, None
            admission.free()


class Admission:
    """Of a process. ``places`` first sets at once; who waits for ``timeout`` s is refused."""

    def __init__(self, places: int = FIRST_SYNCS, timeout: float = FIRST_SYNC_PATIENCE) -> None:
        self._free = places
        self._timeout = timeout
        self._queues: dict[str, dict[asyncio.Future[bool], None]] = {}

    @asynccontextmanager
    async def turn(self, environment_id: str) -> AsyncIterator[Permit]:
        """A place, given back at the end if it was not before; raises `TooManyFirstSyncs`."""
        if self._free and not self._queues:
            self._free -= 1
        else:
            await self._wait(environment_id)
        permit = Permit(self)
        try:
            yield permit
        finally:
            permit.give_back()

    def free(self) -> None:
        """A place is given back: for a `Permit` alone."""
        while self._queues:
            waiting = self._next()
            if not waiting.done():  # else it was cancelled in this moment, and has not left yet
                waiting.set_result(_GIVEN)
                return
        self._free += 1

    def _next(self) -> asyncio.Future[bool]:
        environment_id = next(iter(self._queues))
        queue = self._queues.pop(environment_id)
        waiting = next(iter(queue))
        del queue[waiting]
        if queue:
            self._queues[environment_id] = queue  # behind the other environments
        return waiting

    async def _wait(self, environment_id: str) -> None:
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(environment_id, {})[waiting] = None
        try:
            async with asyncio.timeout(self._timeout):
                await waiting
        except TimeoutError:
            self._leave(environment_id, waiting)
            raise TooManyFirstSyncs("too many SDKs connect at once; try again") from None
        except asyncio.CancelledError:
            self._leave(environment_id, waiting)
            raise

    def _leave(self, environment_id: str, waiting: asyncio.Future[bool]) -> None:
        """Who waits no more takes no turn; a place that was given in this moment goes on."""
        if waiting.done() and not waiting.cancelled():
            self.free()
            return
        queue = self._queues.get(environment_id, {})
        queue.pop(waiting, None)
        if not queue:
            self._queues.pop(environment_id, None)
