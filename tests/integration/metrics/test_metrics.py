"""What the services export is what docs/operations/metrics.md lists, and it is true."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from services.api.metrics import ApiMetrics
from services.evaluation.app import EvaluationApp
from services.evaluation.events.end_users import SeenUsers
from services.evaluation.metrics import EvaluationMetrics
from services.evaluation.replica.follower import Follower
from services.evaluation.replica.replica import Replicas
from services.ingest.metrics import IngestMetrics
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Topic
from services.runtime.config import Address
from services.runtime.metrics import MetricsServer
from services.runtime.server import ListenError
from services.runtime.worker_metrics import WorkerMetrics
from services.storage.model.credentials import SdkKeyKind
from services.storage.model.definitions import EnvironmentHead
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import change, create, flag
from tests.support.evaluation import (
    SERVING,
    RunningEvaluation,
    Timing,
    new_sdk_key,
    now_ms,
    settings,
)
from tests.support.mesh import ROOT
from tests.support.messaging import Recorder, message, soon
from tests.support.resources import Environment, make_environment
from tests.support.streams import Reader, new_traffic

PAGE = ROOT / "docs" / "operations" / "metrics.md"
PREFIX = "featmesh_evaluation_"


def names(collectors: Iterable[Collector]) -> set[str]:
    """As Prometheus calls them."""
    found = set()
    for metric in (each for collector in collectors for each in collector.collect()):
        suffix = "_total" if metric.type == "counter" else ""
        found.add(metric.name + suffix)
    return found


def value(collector: Collector, name: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry.get_sample_value(name, labels)


def scrape(port: int) -> dict[str, float]:
    """Every sample's name (with its labels' values) and value, over HTTP."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
async def bus() -> AsyncIterator[InProcessBus]:
    opened = InProcessBus()
    yield opened
    await opened.close()


@asynccontextmanager
async def exporting(store: MongoStore, bus: InProcessBus) -> AsyncIterator[RunningEvaluation]:
    """A started `evaluation` that serves its metrics."""
    quick = settings(Timing())
    listening = replace(quick, server=replace(quick.server, metrics=Address("127.0.0.1", 0)))
    app = EvaluationApp(listening, store, bus)
    await app.start()
    running = RunningEvaluation(app)
    try:
        await running.health(SERVING)
        yield running
    finally:
        await running.close_channels()
        await app.stop()


def evaluation_metrics(replicas: Replicas, store: MongoStore) -> EvaluationMetrics:
    users = SeenUsers(InProcessBus(), now_ms)
    return EvaluationMetrics(replicas, Follower(replicas, store.definitions), users)


async def test_the_page_lists_what_is_exported_and_nothing_else(
    store: MongoStore, bus: InProcessBus
) -> None:
    collectors = (
        evaluation_metrics(Replicas(store.definitions), store),
        ApiMetrics(store.outbox),
        IngestMetrics(bus),
        WorkerMetrics(),
    )
    listed = re.findall(r"^\| `(featmesh_\w+)` \|", PAGE.read_text(), re.MULTILINE)
    exported = {name for name in names(collectors) if not name.startswith("process_")}
    assert sorted(listed) == sorted(exported)


async def test_a_scrape_tells_of_streams_first_syncs_and_pushes(
    store: MongoStore, bus: InProcessBus, environment: Environment
) -> None:
    secret, _ = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    async with exporting(store, bus) as service:
        port = service.app._metrics_server.port
        sdk = service.client(secret)
        held = await sdk.definitions().change()
        stream = sdk.definitions(held.resume)
        await stream.change()
        committed = await store.resources.commit(change(environment.id, *create(flag("a"))))
        await stream.reach(committed.revision)

        async def pushed() -> bool:
            samples = await asyncio.to_thread(scrape, port)
            return samples["featmesh_evaluation_pushes_total"] == 2

        await soon(pushed)
        samples = await asyncio.to_thread(scrape, port)
    assert samples[f"{PREFIX}environments"] == 1
    assert samples[f"{PREFIX}streams {environment.id}"] == 2
    assert samples[f"{PREFIX}revision_lag_milliseconds {environment.id}"] == 0
    assert samples[f"{PREFIX}first_syncs_total full"] == 1
    assert samples[f"{PREFIX}first_syncs_total patch"] == 1
    assert samples[f"{PREFIX}poll_age_seconds"] < 60
    assert samples[f"{PREFIX}snapshots_total"] == 1
    assert 0 < samples[f"{PREFIX}snapshot_seconds_total"] < 60
    assert samples["process_resident_memory_bytes"] > 0


async def test_the_lag_is_what_is_known_to_be_newer_than_what_is_in_memory(
    store: MongoStore, environment: Environment
) -> None:
    replicas = Replicas(store.definitions)
    metrics = evaluation_metrics(replicas, store)
    replica = await replicas.get(environment.id)
    lag = f"{PREFIX}revision_lag_milliseconds"
    assert value(metrics, lag, environment=environment.id) == 0
    committed = await store.resources.commit(change(environment.id, *create(flag("a"))))
    replicas.announced(environment.id, committed.revision)
    behind = committed.revision - environment.revision
    assert value(metrics, lag, environment=environment.id) == behind > 0
    await replica.refresh(EnvironmentHead(committed.revision, replica.view.epoch))
    assert value(metrics, lag, environment=environment.id) == 0


async def test_environments_beyond_the_bound_share_one_series(
    store: MongoStore, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.evaluation.metrics.NAMED_ENVIRONMENTS", 1)
    replicas = Replicas(store.definitions)
    metrics = evaluation_metrics(replicas, store)
    deps = new_traffic(replicas.watchdog)
    readers = [Reader(await replicas.get(environment.id), deps)]
    for number in range(3):
        made = await make_environment(store, environment.project_id, f"e{number}")
        readers.append(Reader(await replicas.get(made.id), deps))
        replicas.announced(made.id, made.revision + number)
    assert value(metrics, f"{PREFIX}streams", environment=environment.id) == 1
    assert value(metrics, f"{PREFIX}streams", environment="other") == 3
    assert value(metrics, f"{PREFIX}revision_lag_milliseconds", environment="other") == 2
    assert value(metrics, f"{PREFIX}environments") == 4
    for reader in readers:
        await reader.close()


async def test_the_outbox_is_measured_by_its_number_and_its_oldest_entry(
    store: MongoStore, environment: Environment
) -> None:
    metrics = ApiMetrics(store.outbox)
    await metrics.measure()
    assert value(metrics, "featmesh_api_outbox_changes") == 0
    assert value(metrics, "featmesh_api_outbox_age_seconds") == 0
    committed = [
        await store.resources.commit(change(environment.id, *create(flag(key)))) for key in "ab"
    ]
    hour = 3_600_000
    older = {"$set": {"revision": committed[0].revision - hour}}
    await store._connection["outbox"].update_one({"revision": committed[0].revision}, older)
    await metrics.measure()
    assert value(metrics, "featmesh_api_outbox_changes") == 2
    assert (value(metrics, "featmesh_api_outbox_age_seconds") or 0) >= 3_600
    metrics.committed()
    assert value(metrics, "featmesh_api_commits_total") == 1


async def test_stored_batches_failures_and_dead_letters_are_counted(bus: InProcessBus) -> None:
    metrics = IngestMetrics(bus)
    handler = Recorder(fails=lambda received: received.payload == b"bad")
    await bus.consume(Topic.USERS, metrics.counted(Topic.USERS, handler), prefetch=1)
    await bus.publish(Topic.USERS, message())
    await bus.publish(Topic.USERS, message(payload=b"bad"))
    await handler.until(6)
    await metrics.measure()
    assert value(metrics, "featmesh_ingest_batches_stored_total", topic="users") == 1
    assert value(metrics, "featmesh_ingest_failures_total", topic="users") == 5
    assert value(metrics, "featmesh_ingest_batches_stored_total", topic="insights") == 0
    assert value(metrics, "featmesh_ingest_dead_letters") == 1


async def test_an_address_that_is_taken_is_told() -> None:
    first = MetricsServer(Address("127.0.0.1", 0), [])
    first.start()
    try:
        second = MetricsServer(Address("127.0.0.1", first.port), [])
        with pytest.raises(ListenError, match=f"127.0.0.1:{first.port} for metrics"):
            second.start()
    finally:
        await first.stop()


async def test_without_an_address_nothing_listens() -> None:
    server = MetricsServer(None, [])
    server.start()
    assert server.port == 0
    await server.stop()
