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


class ReconnectingSession:
    """Owner of the background task that connects, restores and connects again.

    ``restore`` attaches watches and consumers to each new session before `session` hands it
    out, so a healthy bus is one that hears everything.
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
        self._failures = 0
        self._task = asyncio.create_task(self._keep(), name="rabbitmq-lifeline")

    @property
    def connected(self) -> bool:
        """Whether there is a session now."""
        return self._living() is not None

    async def session(self) -> Session:
        """The session of now.

        An attempt under way is waited for, at most `SETTLE_TIMEOUT`; in an outage this
        raises `BrokerUnavailable` at once.
        """
        session = self._living()
        if session is not None:
            return session
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT):
                await self._settled.wait()
        except TimeoutError:
            raise BrokerUnavailable(f"{self._broker} does not answer.") from None
        session = self._living()
        if session is None:
            raise BrokerUnavailable(f"{self._broker} is away.")
        return session

    async def close(self) -> None:
        """End the task and the session; callers get `BrokerUnavailable` from now on."""
        self._task.cancel()
        await asyncio.wait({self._task})
        self._settled.set()

    def _living(self) -> Session | None:
        session = self._session
        return None if session is None or session.lost.is_set() else session

    async def _keep(self) -> None:
        while True:
            try:
                await self._live(await self._connected())
            except Exception as error:  # noqa: BLE001 - whatever it was, the next try may do
                self._report(error)
            if self._failures:
                self._settled.set()
            await asyncio.sleep(_reconnect_delay(self._failures))
            self._failures += 1

    async def _connected(self) -> Session:
        """A new session with everything restored on it."""
        try:
            session = await self._connect()
            try:
                await self._restore(session)
            except BaseException:
                await session.close()
                raise
        except Exception:
            self._settled.set()  # now the broker is known to be away: nobody needs to wait
            raise
        return session

    async def _live(self, session: Session) -> None:
        """Serve until the session is lost, which is raised as `BrokerUnavailable`."""
        self._session = session
        self._settled.set()
        self._reported.clear()
        _log.info("Connected to %s", self._broker)
        began = time.monotonic()
        try:
            await session.lost.wait()
            raise BrokerUnavailable(f"The connection was lost: {session.cause}")
        finally:
            if time.monotonic() - began >= _STEADY_AFTER:
                self._failures = 0
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
        _log.warning("%s: %s; trying on", self._broker, error, exc_info=None if known else error)


def _reconnect_delay(failures: int) -> float:
    """Full jitter, so that a restarted broker does not meet everybody at once."""
    ceiling = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(failures, 10))
    return random.uniform(0, ceiling)  # noqa: S311 - spreads load, guards nothing
