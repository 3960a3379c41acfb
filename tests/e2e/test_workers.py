"""Several processes of `evaluation` on one port."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

import featmesh
from services.storage.model.credentials import SdkKeyKind
from services.storage.mongodb import MongoStore
from tests.support.evaluation import new_sdk_key
from tests.support.mesh import ServiceProcess, children_of, is_running
from tests.support.mongodb import fresh_database_name
from tests.support.ports import free_address
from tests.support.resources import make_environment
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.long(50)

WORKERS = 2
POLL_AGE = "featmesh_evaluation_poll_age_seconds"
NEVER = float("inf")


def evaluation(
    folder: Path,
    address: str,
    mongodb_uri: str,
    amqp_url: str,
    *,
    metrics: str = "",
    server: str = "",
) -> ServiceProcess:
    variables = {
        "FEATMESH_EVALUATION_LISTEN": address,
        "FEATMESH_EVALUATION_WORKERS": str(WORKERS),
        "FEATMESH_MONGODB_URI": mongodb_uri,
        "FEATMESH_MONGODB_DATABASE": fresh_database_name(),
        "FEATMESH_AMQP_URL": amqp_url,
        "FEATMESH_METRICS_LISTEN": metrics,
        "FEATMESH_GRPC_SERVER": server,
        "FEATMESH_DRAIN_DELAY_SECONDS": "0",
        "FEATMESH_DRAIN_WINDOW_SECONDS": "0",
    }
    return ServiceProcess("evaluation", address, variables, folder / "evaluation.log")


@pytest.fixture
def service(tmp_path: Path, mongodb_uri: str, amqp_url: str) -> Iterator[ServiceProcess]:
    process = evaluation(tmp_path, free_address(), mongodb_uri, amqp_url, metrics=free_address())
    process.start()
    process.wait_until_serving()
    yield process
    process.stop()


def all_workers(service: ServiceProcess) -> set[int]:
    return eventually(lambda: children_of(service.pid), accept=lambda found: len(found) == WORKERS)


def test_a_dead_worker_is_replaced(service: ServiceProcess) -> None:
    before = all_workers(service)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    after = eventually(
        lambda: children_of(service.pid),
        accept=lambda found: len(found) == WORKERS and victim not in found,
    )
    assert before - {victim} < after
    service.wait_until_serving()


def test_workers_do_not_outlive_their_supervisor(
    tmp_path: Path, mongodb_uri: str, amqp_url: str
) -> None:
    service = evaluation(tmp_path, free_address(), mongodb_uri, amqp_url)
    service.start()
    service.wait_until_serving()
    workers = all_workers(service)
    os.kill(service.pid, signal.SIGKILL)
    assert service.wait(PATIENCE) == -signal.SIGKILL
    eventually(lambda: not any(map(is_running, workers)))


def test_one_signal_stops_them_all(service: ServiceProcess) -> None:
    workers = all_workers(service)
    assert service.stop() == 0
    assert not any(map(is_running, workers))


def test_a_second_service_is_refused_the_shared_port(
    service: ServiceProcess, tmp_path: Path, mongodb_uri: str, amqp_url: str
) -> None:
    (tmp_path / "second").mkdir()
    second = evaluation(tmp_path / "second", service.address, mongodb_uri, amqp_url)
    second.start()
    assert second.wait(PATIENCE) == 1
    assert f"cannot listen on {service.address}" in second.log.read_text()


def test_workers_of_stock_grpc_share_the_port(
    tmp_path: Path, mongodb_uri: str, amqp_url: str
) -> None:
    service = evaluation(tmp_path, free_address(), mongodb_uri, amqp_url, server="aio")
    service.start()
    try:
        service.wait_until_serving()
        workers = all_workers(service)
        eventually(
            lambda: service.log.read_text().count(f"listening on {service.address} (aio)"),
            accept=lambda found: found == WORKERS,
        )
    finally:
        code = service.stop()
    assert code == 0
    assert not any(map(is_running, workers))


async def new_key(mongodb_uri: str, database: str) -> str:
    """The secret of a server key of a new environment."""
    store = MongoStore.open(mongodb_uri, database=database)
    try:
        environment = await make_environment(store)
        return (await new_sdk_key(store, environment.id, SdkKeyKind.SERVER))[0]
    finally:
        await store.close()


def scraped(address: str) -> dict[tuple[str, str], float]:
    """Values by name and worker, summed over other labels; each family stands there once."""
    with urlopen(f"http://{address}/metrics", timeout=PATIENCE) as answer:
        text = answer.read().decode()
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    values: dict[tuple[str, str], float] = {}
    for sample in (each for family in parsed(text) for each in family.samples):
        key = sample.name, sample.labels.get("worker", "")
        values[key] = values.get(key, 0) + sample.value
    return values


def workers_with(name: str, values: dict[tuple[str, str], float]) -> set[str]:
    return {worker for each, worker in values if each == name}


def page_of_all(service: ServiceProcess) -> dict[tuple[str, str], float]:
    """Once all workers have begun to poll."""
    return eventually(
        lambda: scraped(service.variables["FEATMESH_METRICS_LISTEN"]),
        accept=lambda found: all(found.get((POLL_AGE, worker), NEVER) < NEVER for worker in "01"),
    )


def test_one_page_has_the_metrics_of_all_workers(service: ServiceProcess) -> None:
    values = page_of_all(service)
    assert workers_with(POLL_AGE, values) == {"0", "1"}
    memory = "process_resident_memory_bytes"
    assert workers_with(memory, values) == {"0", "1", "supervisor"}
    assert all(values[memory, worker] > 0 for worker in ("0", "1", "supervisor"))
    assert values["featmesh_workers_running", ""] == WORKERS
    assert values["featmesh_workers_restarts_total", ""] == 0
    assert values["featmesh_workers_unanswered_total", ""] == 0


def test_a_stream_is_counted_once_whichever_worker_has_it(
    service: ServiceProcess, mongodb_uri: str
) -> None:
    key = asyncio.run(new_key(mongodb_uri, service.variables["FEATMESH_MONGODB_DATABASE"]))
    address = service.variables["FEATMESH_METRICS_LISTEN"]
    name = "featmesh_evaluation_streams"
    with featmesh.Client(service.address, key) as client:
        assert client.wait_until_ready(PATIENCE)
        values = scraped(address)
        assert sum(values[name, worker] for worker in workers_with(name, values)) == 1


def test_a_replaced_worker_is_counted_and_has_its_metrics_again(service: ServiceProcess) -> None:
    address = service.variables["FEATMESH_METRICS_LISTEN"]
    page_of_all(service)
    os.kill(min(all_workers(service)), signal.SIGKILL)
    values = eventually(
        lambda: scraped(address),
        accept=lambda found: (
            found["featmesh_workers_restarts_total", ""] == 1
            and len(workers_with(POLL_AGE, found)) == WORKERS
        ),
    )
    assert values["featmesh_workers_running", ""] == WORKERS


def test_a_worker_that_hangs_is_left_out_of_the_page_and_counted(service: ServiceProcess) -> None:
    address = service.variables["FEATMESH_METRICS_LISTEN"]
    page_of_all(service)
    victim = min(all_workers(service))
    os.kill(victim, signal.SIGSTOP)
    try:
        values = scraped(address)
    finally:
        os.kill(victim, signal.SIGCONT)
    assert len(workers_with(POLL_AGE, values)) == WORKERS - 1
    assert values["featmesh_workers_running", ""] == WORKERS
    assert values["featmesh_workers_unanswered_total", ""] == 1


def test_metrics_are_off_unless_they_are_asked_for(
    tmp_path: Path, mongodb_uri: str, amqp_url: str
) -> None:
    service = evaluation(tmp_path, free_address(), mongodb_uri, amqp_url)
    service.start()
    service.wait_until_serving()
    assert service.stop() == 0
    assert "metrics on" not in service.log.read_text()
