"""Transactions that share a turn: each begins when the one before is committed on the primary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.transactions import Session, Transactions
from tests.support.fail_points import failing, refused_uri

NO_SUCH_TRANSACTION = 251
PATIENCE = 30.0


class Commits(CommandListener):
    """Write concerns of the commits that were sent, and whether the turn was held then."""

    def __init__(self, turn: asyncio.Lock) -> None:
        self._turn = turn
        self.sent: list[tuple[int | str, bool]] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "commitTransaction":
            self.sent.append((event.command["writeConcern"]["w"], self._turn.locked()))

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...


@pytest.fixture
def turn() -> asyncio.Lock:
    return asyncio.Lock()


@pytest.fixture
def commits(turn: asyncio.Lock) -> Commits:
    return Commits(turn)


@pytest.fixture
async def client(
    mongodb_uri: str, commits: Commits
) -> AsyncIterator[AsyncIOMotorClient[dict[str, Any]]]:
    opened: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        refused_uri(mongodb_uri), event_listeners=[commits]
    )
    yield opened
    opened.close()


@pytest.fixture
def collection(
    client: AsyncIOMotorClient[dict[str, Any]], database_name: str, store: MongoStore
) -> AsyncIOMotorCollection[dict[str, Any]]:
    """One of those that `store` made, and empties after the test."""
    return client[database_name]["requests"]


async def test_the_outcome_waits_for_a_majority_and_the_next_transaction_does_not(
    client: AsyncIOMotorClient[dict[str, Any]],
    collection: AsyncIOMotorCollection[dict[str, Any]],
    turn: asyncio.Lock,
    commits: Commits,
) -> None:
    async def body(session: Session) -> str:
        await collection.insert_one({"_id": "a"}, session=session)
        return "done"

    transactions = Transactions(client, "a mongod")
    assert await transactions.run_serialized(body, turn) == "done"
    assert commits.sent == [(1, True), ("majority", False)]
    assert await collection.count_documents({}) == 1


async def test_a_transaction_that_the_majority_never_got_runs_again(
    client: AsyncIOMotorClient[dict[str, Any]],
    collection: AsyncIOMotorCollection[dict[str, Any]],
    mongodb_uri: str,
    turn: asyncio.Lock,
) -> None:
    again, attempts = asyncio.Event(), 0

    async def body(session: Session) -> int:
        nonlocal attempts
        attempts += 1
        if attempts > 1:
            again.set()
        step = {"$inc": {"count": 1}}
        await collection.update_one({"_id": "a"}, step, upsert=True, session=session)
        return attempts

    transactions = Transactions(client, "a mongod")
    async with asyncio.timeout(PATIENCE):
        # The commit on the primary passes; the new one, who is asked next, knows nothing of it.
        async with failing(mongodb_uri, ["commitTransaction"], NO_SUCH_TRANSACTION, after=1):
            run = asyncio.create_task(transactions.run_serialized(body, turn))
            await again.wait()
        assert await run >= 2
    assert not turn.locked()


async def test_a_transaction_that_fails_gives_its_turn_to_the_next(
    client: AsyncIOMotorClient[dict[str, Any]],
    collection: AsyncIOMotorCollection[dict[str, Any]],
    turn: asyncio.Lock,
) -> None:
    async def fail(session: Session) -> None:
        await collection.insert_one({"_id": "a"}, session=session)
        raise ValueError("no")

    async def succeed(session: Session) -> None:
        await collection.insert_one({"_id": "b"}, session=session)

    transactions = Transactions(client, "a mongod")
    failed, _ = await asyncio.gather(
        transactions.run_serialized(fail, turn),
        transactions.run_serialized(succeed, turn),
        return_exceptions=True,
    )
    assert isinstance(failed, ValueError)
    assert [each["_id"] for each in await collection.find({}).to_list(None)] == ["b"]
