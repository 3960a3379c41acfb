"""Keeps one `Session` open for as long as the bus lives."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from services.messaging.rabbitmq.session import Session
from services.runtime.errors import BrokerUnavailable

SETTLE_TIMEOUT: Final = 5.0
"""Seconds that a caller waits for the outcome of a connection attempt under way."""

_FIRST_DELAY = 0.2
_LONGEST_DELAY = 10.0
_STEADY_AFTER = 10.0
"""Seconds that a session must live before its loss counts as a new outage."""

_log = logging.getLogger(__name__)


class Lifeline:
    """Owner of the background task that connects, restores and connects again.

    ``restore`` is called with each new session; it attaches watches and consumers.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Session]],
        restore: Callable[[Session], Awaitable[None]],
        *,
        broker: str,
    ) -> None:
        self._connect = connect
        self._restore = restore
        self._broker = broker
        self._session: Session | None = None
        self._settled = asyncio.Event()
        self._reported: set[str] = set()
        self._task = asyncio.create_task(self._keep(), name="rabbitmq-lifeline")

    @property
    def connected(self) -> bool:
        """Whether there is a session now."""
        return self._session is not None and not self._session.lost.is_set()

    async def session(self) -> Session:
        """The session of now.

        An attempt under way is waited for, at most `SETTLE_TIMEOUT`; in an outage this
        raises `BrokerUnavailable` at once.
        """
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT):
                await self._settled.wait()
        except TimeoutError:
            raise BrokerUnavailable(f"{self._broker} does not answer.") from None
        if self._session is None or self._session.lost.is_set():
            raise BrokerUnavailable(f"{self._broker} is away.")
        return self._session

    async def close(self) -> None:
        """End the task and the session; callers get `BrokerUnavailable` from now on."""
        self._task.cancel()
        await asyncio.wait({self._task})
        self._settled.set()

    async def _keep(self) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            try:
                await self._live(await self._try_connect())
            except Exception as error:  # noqa: BLE001 - whatever it was, the next try may do
                self._report(error)
            if time.monotonic() - started >= _STEADY_AFTER:
                failures = 0
            if failures:
                self._settled.set()
            await asyncio.sleep(_reconnect_delay(failures))
            failures += 1

    async def _try_connect(self) -> Session:
        try:
            return await self._connect()
        except Exception:
            self._settled.set()  # now it is known to be away: nobody needs to wait
            raise

    async def _live(self, session: Session) -> None:
        """Serve until the session is lost, which is raised as `BrokerUnavailable`."""
        self._session = session
        self._settled.set()
        try:
            await self._restore(session)
            self._reported.clear()
            _log.info("Connected to %s", self._broker)
            await session.lost.wait()
            raise BrokerUnavailable(f"The connection was lost: {session.cause}.")
        finally:
            self._session = None
            self._settled.clear()
            await session.close()

    def _report(self, error: Exception) -> None:
        """Once per outage and kind of failure; a long outage must not fill the log."""
        kind = type(error.__cause__ or error).__name__
        if kind in self._reported:
            return
        self._reported.add(kind)
        known = isinstance(error, BrokerUnavailable)
        _log.warning("%s: %s Trying on.", self._broker, error, exc_info=None if known else error)


def _reconnect_delay(failures: int) -> float:
    """Full jitter, so that a restarted broker does not meet everybody at once."""
    ceiling = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(failures, 10))
    return random.uniform(0, ceiling)  # noqa: S311 - spreads load, guards nothing
