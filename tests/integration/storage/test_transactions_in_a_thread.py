"""Transactions whose commands run in one thread: with the same outcomes as the others."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator

import pytest

from services.runtime.errors import StoreUnavailable
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver import transactions
from services.storage.mongodb.driver.client import Connection, utc_now
from services.storage.mongodb.driver.transactions import Session
from tests.support.fail_points import PRIMARY_STEPPED_DOWN, failing, refused_uri

PATIENCE = 30.0
COLLECTION = "requests"


@pytest.fixture
async def connection(
    mongodb_uri: str, database_name: str, store: MongoStore
) -> AsyncIterator[Connection]:
    """To the database that `store` made, and empties after the test."""
    opened = Connection(refused_uri(mongodb_uri), database_name, utc_now)
    yield opened
    await opened.close()


async def stored(connection: Connection) -> list[str]:
    return [each["_id"] async for each in connection[COLLECTION].find().sort("_id", 1)]


async def test_what_the_body_did_is_committed_and_its_result_returned(
    connection: Connection,
) -> None:
    async def body(session: Session) -> list[str]:
        inside = connection.blocking[COLLECTION]
        await inside.insert_many([{"_id": one} for one in "cab"], session=session)
        await inside.delete_one({"_id": "c"}, session=session)
        cursor = inside.find({}, session=session).sort("_id", -1)
        joined = inside.aggregate([{"$match": {"_id": "a"}}], session=session)
        found = await cursor.to_list(None) + await joined.to_list(None)
        return [each["_id"] for each in found]

    assert await connection.transactions.run_in_thread(body) == ["b", "a", "a"]
    assert await stored(connection) == ["a", "b"]


async def test_a_rehearsal_is_rolled_back(connection: Connection) -> None:
    async def body(session: Session) -> str:
        await connection.blocking[COLLECTION].insert_one({"_id": "a"}, session=session)
        return "done"

    assert await connection.transactions.run_in_thread(body, validate_only=True) == "done"
    assert await stored(connection) == []


async def test_a_body_that_raises_has_written_nothing(connection: Connection) -> None:
    async def body(session: Session) -> None:
        await connection.blocking[COLLECTION].insert_one({"_id": "a"}, session=session)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await connection.transactions.run_in_thread(body)
    assert await stored(connection) == []


async def test_a_body_that_would_wait_is_refused_and_has_written_nothing(
    connection: Connection,
) -> None:
    async def body(session: Session) -> None:
        await connection.blocking[COLLECTION].insert_one({"_id": "a"}, session=session)
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waits for more than blocking commands"):
        await connection.transactions.run_in_thread(body)
    assert await stored(connection) == []


async def test_two_that_meet_run_again_until_both_are_committed(connection: Connection) -> None:
    async def body(session: Session) -> None:
        step = {"$inc": {"count": 1}}
        await connection.blocking[COLLECTION].update_one(
            {"_id": "a"}, step, upsert=True, session=session
        )

    async with asyncio.timeout(PATIENCE):
        run = connection.transactions.run_in_thread
        await asyncio.gather(*(run(body) for _ in range(8)))
    assert await connection[COLLECTION].find_one({"_id": "a"}) == {"_id": "a", "count": 8}


async def test_a_commit_whose_outcome_is_unknown_is_asked_for_until_it_is_known(
    connection: Connection, mongodb_uri: str
) -> None:
    bodies = 0

    async def body(session: Session) -> str:
        nonlocal bodies
        bodies += 1
        await connection.blocking[COLLECTION].insert_one({"_id": "a"}, session=session)
        return "done"

    async with asyncio.timeout(PATIENCE):
        # The driver asks twice of its own accord.
        async with failing(mongodb_uri, ["commitTransaction"], PRIMARY_STEPPED_DOWN, times=3):
            assert await connection.transactions.run_in_thread(body) == "done"
    assert bodies == 1
    assert await stored(connection) == ["a"]


async def test_a_caller_who_is_gone_leaves_no_transaction_half_done(
    connection: Connection,
) -> None:
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def body(session: Session) -> None:
        await connection.blocking[COLLECTION].insert_one({"_id": "a"}, session=session)
        loop.call_soon_threadsafe(began.set)
        await connection.blocking[COLLECTION].insert_one({"_id": "b"}, session=session)

    caller = asyncio.create_task(connection.transactions.run_in_thread(body))
    async with asyncio.timeout(PATIENCE):
        await began.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await connection.transactions.close()
    assert await stored(connection) == ["a", "b"]


async def test_a_thread_that_does_not_end_in_time_writes_nothing_any_more(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(transactions, "LIMIT_SECONDS", 0.1)
    monkeypatch.setattr(transactions, "_CLOSE_SECONDS", 0.01)
    hung, ended = threading.Event(), threading.Event()

    async def body(session: Session) -> None:
        try:
            await connection.blocking[COLLECTION].insert_one({"_id": "a"}, session=session)
            hung.wait(PATIENCE)
            await connection.blocking[COLLECTION].insert_one({"_id": "b"}, session=session)
        finally:
            ended.set()

    with pytest.raises(StoreUnavailable):
        await connection.transactions.run_in_thread(body)
    hung.set()
    assert await asyncio.to_thread(ended.wait, PATIENCE)
    assert await stored(connection) == []
    await connection.close()
    gc.collect()
    assert not caplog.records, "its error is nobody's any more"
