"""Runs transactions to their end: retried, bounded in time, never left open."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from services.runtime.errors import StoreUnavailable
from services.storage.mongodb.driver.blocking import run_sync

Session = AsyncIOMotorClientSession
T = TypeVar("T")
Body = Callable[[Session], Coroutine[Any, Any, T]]
End = Callable[[Session], Awaitable[None]]

LIMIT_SECONDS = 55.0
"""For all attempts together; the server ends a transaction of its own accord after 60."""

_CLOSE_SECONDS = 5.0
_THREADS = 32
_FIRST_PAUSE_SECONDS = 0.004
_LONGEST_PAUSE_SECONDS = 0.25
_TRANSIENT = "TransientTransactionError"
_OUTCOME_UNKNOWN = "UnknownTransactionCommitResult"
_WAIT_MS = 20_000
_MAJORITY = WriteConcern("majority", wtimeout=_WAIT_MS)
_PRIMARY = WriteConcern(1, wtimeout=_WAIT_MS)
_SNAPSHOT = ReadConcern("snapshot")


class Transactions:
    """Owner of the transactions of one client.

    Each runs in a task of its own and goes on to its end when the caller is cancelled: the
    driver works in threads that cannot be interrupted, and a transaction that was left open
    would hold its environment until the server gives it up.
    """

    def __init__(self, client: AsyncIOMotorClient[dict[str, Any]], address: str) -> None:
        self._client = client
        self._address = address
        self._running: set[asyncio.Task[Any]] = set()
        self._threads = ThreadPoolExecutor(_THREADS, "mongodb transaction")

    async def run(self, body: Body[T], *, validate_only: bool = False) -> T:
        """Commit what ``body`` does; it may run several times and must only use the session.

        Raises what ``body`` raises (nothing is written then), a driver's error, or
        `StoreUnavailable` when there is no outcome after `LIMIT_SECONDS`. With
        ``validate_only`` it answers alike, and is rolled back.
        """
        end = _roll_back if validate_only else _commit
        return await self._run(lambda session: _attempt(session, body, end))

    async def run_in_thread(self, body: Body[T], *, validate_only: bool = False) -> T:
        """As `run`, for a body that uses `Connection.blocking` and awaits nothing else.

        Takes half of the CPU and of the time: nobody changes threads between its commands.
        """

        async def attempt(session: Session) -> T:
            return await self._attempt_in_thread(session, body, validate_only=validate_only)

        return await self._run(attempt)

    async def run_serialized(self, body: Body[T], turn: asyncio.Lock) -> T:
        """As `run`, one after the other of those that share the lock.

        Each begins when the one before is committed on the primary, and does not wait for
        the others of the replica set to have it too. If they never get it the transaction
        runs again, like any other that a new primary does not know.
        """
        return await self._run(lambda session: _attempt_serialized(session, body, turn))

    async def _attempt_in_thread(
        self, session: Session, body: Body[T], *, validate_only: bool
    ) -> T:
        loop = asyncio.get_running_loop()
        thread = loop.run_in_executor(self._threads, _attempt_sync, session, body, validate_only)
        try:
            result, is_known = await asyncio.shield(thread)
        except asyncio.CancelledError:
            thread.add_done_callback(_retrieve)
            await asyncio.wait([thread], timeout=_CLOSE_SECONDS)  # it uses the session
            raise
        if not is_known:
            await _pause(0)
            await _commit(session)
        return result

    async def _run(self, attempt: Callable[[Session], Awaitable[T]]) -> T:
        work = self._bounded(attempt)
        task = asyncio.create_task(work, name="mongodb transaction")
        self._running.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Let the running transactions end, within bounds."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=_CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._threads.shutdown(wait=False)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        _retrieve(task)

    async def _bounded(self, attempt: Callable[[Session], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                return await self._retried(attempt)
        except TimeoutError:
            message = f"MongoDB at {self._address} ended no transaction in {LIMIT_SECONDS:.0f} s"
            raise StoreUnavailable(message) from None

    async def _retried(self, attempt: Callable[[Session], Awaitable[T]]) -> T:
        attempts = 0
        async with await self._client.start_session() as session:
            while True:
                try:
                    return await attempt(session)
                except ServerSelectionTimeoutError:
                    raise  # has the label too, but the store was waited for already
                except PyMongoError as error:
                    if not error.has_error_label(_TRANSIENT):
                        raise
                await _pause(attempts)
                attempts += 1


def _retrieve(work: asyncio.Future[Any]) -> None:
    """Takes note of how it ended: the caller, who would, may be gone."""
    if not work.cancelled():
        work.exception()


async def _attempt(
    session: Session, body: Body[T], end: End, concern: WriteConcern = _MAJORITY
) -> T:
    session.start_transaction(read_concern=_SNAPSHOT, write_concern=concern)
    try:
        result = await body(session)
    except BaseException:
        with suppress(PyMongoError):  # the error that led here says more
            await session.abort_transaction()
        raise
    await end(session)
    return result


def _attempt_sync(session: Session, body: Body[T], validate_only: bool) -> tuple[T, bool]:
    """What the body returns, and whether the transaction's end is known."""
    bare = session.delegate
    bare.start_transaction(read_concern=_SNAPSHOT, write_concern=_MAJORITY)
    try:
        result = run_sync(body(session))
    except BaseException:
        with suppress(PyMongoError):  # the error that led here says more
            bare.abort_transaction()
        raise
    if validate_only:
        bare.abort_transaction()
        return result, True
    try:
        bare.commit_transaction()
    except PyMongoError as error:
        if not error.has_error_label(_OUTCOME_UNKNOWN):
            raise
        return result, False
    return result, True


async def _attempt_serialized(session: Session, body: Body[T], turn: asyncio.Lock) -> T:
    async with turn:
        result = await _attempt(session, body, _commit, _PRIMARY)
    await _commit(session)  # a commit that is sent again waits for a majority
    return result


async def _commit(session: Session) -> None:
    await _until_known(session.commit_transaction)


async def _roll_back(session: Session) -> None:
    await session.abort_transaction()


async def _until_known(commit: Callable[[], Awaitable[None]]) -> None:
    attempts = 0
    while True:
        try:
            return await commit()
        except PyMongoError as error:
            if not error.has_error_label(_OUTCOME_UNKNOWN):
                raise
        await _pause(attempts)
        attempts += 1


async def _pause(attempts: int) -> None:
    longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(attempts, 10))
    await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - jitter, no secret
