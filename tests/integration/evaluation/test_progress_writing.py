"""What becomes of censuses and reports: written down, and published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from featmesh.messaging.v1 import messaging_pb2
from services.evaluation.progress.reports import Reports
from services.evaluation.progress.writer import ProgressWriter
from services.evaluation.replica.replica import Replicas
from services.messaging.inprocess import InProcessBus
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, utc_now
from tests.integration.evaluation.conftest import store_through
from tests.support.messaging import Recorder
from tests.support.proxy import TcpProxy
from tests.support.resources import Environment
from tests.support.streams import Reader, new_traffic
from tests.support.waiting import PATIENCE


@pytest.fixture
async def connection(mongodb_uri: str, database_name: str) -> AsyncIterator[Connection]:
    opened = Connection(mongodb_uri, database_name, utc_now)
    yield opened
    await opened.close()


async def test_a_census_is_written_only_when_it_changed_and_removed_with_its_environment(
    store: MongoStore, environment: Environment, connection: Connection
) -> None:
    replicas = Replicas(store.definitions)
    writer = ProgressWriter(replicas, store.progress, "p1")
    replica = await replicas.get(environment.id)
    collection = connection["stream_progress"]

    await writer.write()
    assert await collection.count_documents({}) == 0, "nobody streams it"

    reader = Reader(replica, new_traffic(replicas.watchdog))
    await reader.writer.takes(1)
    await writer.write()
    assert [each.streams for each in await store.progress.read_progress(environment.id)] == [1]
    await writer.write()  # it may have gone on meanwhile
    last = await collection.find_one()
    await writer.write()
    assert await collection.find_one() == last, "not even its time has changed"

    await reader.close()
    await writer.write()
    assert [each.streams for each in await store.progress.read_progress(environment.id)] == [0]
    await replicas.evict_idle(-1)
    await writer.write()
    assert await collection.count_documents({}) == 0
    await replicas.close()


async def test_what_changed_while_the_store_was_away_is_written_when_it_is_back(
    mongodb_uri: str,
    database_name: str,
    store: MongoStore,
    environment: Environment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxy, _ = await TcpProxy.in_front_of(mongodb_uri)
    replicas = Replicas(store.definitions)
    replica = await replicas.get(environment.id)
    async with store_through(proxy, database_name) as distant:
        writer = ProgressWriter(replicas, distant.progress, "p1")
        await writer.write()
        await proxy.cut()
        replica.progress.join("sdk")
        for _ in range(2):
            await writer.write()
        assert caplog.text.count("the progress of streams is not written") == 1
        await proxy.open()
        async with asyncio.timeout(PATIENCE):
            while not await store.progress.read_progress(environment.id):
                await writer.write()
    await proxy.cut()
    await replicas.close()


async def test_reports_that_wait_for_the_broker_are_bounded_and_the_latest_of_each_sdk(
    store: MongoStore, bus: InProcessBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.evaluation.progress.reports.WAITING", 2)
    reports, published = Reports(Replicas(store.definitions), bus), Recorder()
    await (await bus.watch_applied(published)).bind("e")
    for instance_id, revision in (("a", 1), ("b", 1), ("c", 1), ("a", 2)):
        reports.take(
            messaging_pb2.AppliedReport(
                environment_id="e", instance_id=instance_id, revision=revision
            )
        )
    await reports.publish()
    got = [
        messaging_pb2.AppliedReport.FromString(each.payload) for each in await published.until(2)
    ]
    assert [(each.instance_id, each.revision) for each in got] == [("a", 2), ("b", 1)]
