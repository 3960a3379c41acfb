from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.storage.model.progress import RevisionProgress, StreamProgress
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, utc_now

HERE, THERE = "environment-1", "environment-2"


def progress(environment_id: str, streams: int = 3) -> StreamProgress:
    at_one = RevisionProgress(1_000, 1, 2, {}, {})
    at_two = RevisionProgress(2_000, 2, 1, {9: 1, 157: 1}, {12: 1})
    return StreamProgress(environment_id, streams, (at_one, at_two))


@pytest.fixture
async def connection(mongodb_uri: str, database_name: str) -> AsyncIterator[Connection]:
    opened = Connection(mongodb_uri, database_name, utc_now)
    yield opened
    await opened.close()


async def test_each_living_process_has_a_census_of_its_own(store: MongoStore) -> None:
    for process, streams in (("p1", 3), ("p2", 4)):
        await store.progress.report_process(process)
        await store.progress.write_progress(process, [progress(HERE, streams), progress(THERE)], [])
    assert await store.progress.read_progress(HERE) == [progress(HERE, 3), progress(HERE, 4)]


async def test_a_later_census_takes_the_earlier_one_s_place(store: MongoStore) -> None:
    await store.progress.report_process("p1")
    await store.progress.write_progress("p1", [progress(HERE, 3)], [])
    await store.progress.write_progress("p1", [progress(HERE, 5)], [])
    assert await store.progress.read_progress(HERE) == [progress(HERE, 5)]


async def test_an_environment_that_a_process_no_longer_holds_is_gone(store: MongoStore) -> None:
    await store.progress.report_process("p1")
    await store.progress.write_progress("p1", [progress(HERE), progress(THERE)], [])
    await store.progress.write_progress("p1", [], [HERE])
    assert await store.progress.read_progress(HERE) == []
    assert await store.progress.read_progress(THERE) == [progress(THERE)]


async def test_a_process_that_was_not_seen_for_ten_seconds_is_not_counted(
    store: MongoStore, connection: Connection
) -> None:
    for process in ("living", "dead"):
        await store.progress.report_process(process)
        await store.progress.write_progress(process, [progress(HERE)], [])
    past = {"$set": {"seen_at": datetime.now(UTC) - timedelta(seconds=11)}}
    await connection["evaluation_processes"].update_one({"_id": "dead"}, past)
    assert await store.progress.read_progress(HERE) == [progress(HERE)]
    await store.progress.report_process("dead")
    assert len(await store.progress.read_progress(HERE)) == 2, "it was only late"


async def test_a_process_that_stops_leaves_nothing(
    store: MongoStore, connection: Connection
) -> None:
    await store.progress.report_process("p1")
    await store.progress.write_progress("p1", [progress(HERE), progress(THERE)], [])
    await store.progress.remove_process("p1")
    assert await store.progress.read_progress(HERE) == []
    for collection in ("evaluation_processes", "stream_progress"):
        assert await connection[collection].count_documents({}) == 0


@pytest.mark.parametrize("collection", ["evaluation_processes", "stream_progress"])
async def test_what_a_killed_process_leaves_expires(
    store: MongoStore, connection: Connection, collection: str
) -> None:
    indexes = await connection[collection].index_information()
    assert any("expireAfterSeconds" in index for index in indexes.values())
