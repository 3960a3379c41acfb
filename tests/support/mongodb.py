"""A real MongoDB for tests: one mongod for the run, a fresh database for each test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final
from uuid import uuid4

import pytest

from services.standalone.mongod import EmbeddedMongod
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, utc_now
from services.storage.mongodb.migrations import INDEXES
from tests.support.ports import free_port
from tests.support.resources import Environment, make_environment
from tests.support.shared import address_of

VARIABLE: Final = "FEATMESH_TEST_MONGODB_URI"

MONGODB: Final = "mongodb"
"""Its name among the servers of a run."""


@pytest.fixture(scope="session")
def mongodb_uri() -> str:
    """URI of a replica set: FEATMESH_TEST_MONGODB_URI's, or an embedded mongod of this run."""
    return os.environ.get(VARIABLE) or address_of(MONGODB)


def mongod_with_fail_points(folder: Path) -> AbstractContextManager[str]:
    """For `fail_points`: commands that make mongod answer with an error."""
    return running_mongod(folder, {"enableTestCommands": "1"})


@contextmanager
def running_mongod(
    folder: Path, parameters: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """An embedded mongod with its data in ``folder``; its URI."""
    mongod = EmbeddedMongod(folder, port=free_port(), parameters=parameters)
    # A loop of its own that never becomes the thread's: the tests' loops come and go.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(mongod.start())
        try:
            yield mongod.uri
        finally:
            runner.run(mongod.stop())


def fresh_database_name() -> str:
    """A name that no other test uses."""
    return f"test_{uuid4().hex}"


@pytest.fixture(scope="session")
def database_name(mongodb_uri: str) -> Iterator[str]:
    """The database that `store` uses: emptied after each test, dropped after the run.

    Making the indexes of a new one takes ten times as long as most tests.
    """
    name = fresh_database_name()
    yield name
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(_drop(mongodb_uri, name))


@pytest.fixture
async def store(mongodb_uri: str, database_name: str) -> AsyncIterator[MongoStore]:
    """A migrated store with nothing in it."""
    opened = MongoStore.open(mongodb_uri, database=database_name)
    await opened.migrate()
    try:
        yield opened
    finally:
        await opened.close()
        await _empty(mongodb_uri, database_name)


@pytest.fixture
async def environment(store: MongoStore) -> Environment:
    """An environment with nothing in it."""
    return await make_environment(store)


async def _empty(uri: str, database: str) -> None:
    connection = Connection(uri, database, utc_now)
    await asyncio.gather(*(connection[collection].delete_many({}) for collection in INDEXES))
    await connection.close()


async def _drop(uri: str, database: str) -> None:
    store = MongoStore.open(uri, database=database)
    await store.drop()
    await store.close()
