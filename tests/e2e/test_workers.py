"""Several processes of `evaluation` on one port."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mesh import ServiceProcess, free_address
from tests.support.mongodb import fresh_database_name
from tests.support.waiting import PATIENCE, eventually

WORKERS = 2


def evaluation(folder: Path, address: str, mongodb_uri: str, amqp_url: str) -> ServiceProcess:
    variables = {
        "FEATMESH_EVALUATION_LISTEN": address,
        "FEATMESH_EVALUATION_WORKERS": str(WORKERS),
        "FEATMESH_MONGODB_URI": mongodb_uri,
        "FEATMESH_MONGODB_DATABASE": fresh_database_name(),
        "FEATMESH_AMQP_URL": amqp_url,
        "FEATMESH_DRAIN_DELAY_SECONDS": "0",
        "FEATMESH_DRAIN_WINDOW_SECONDS": "0",
    }
    return ServiceProcess("evaluation", address, variables, folder / "evaluation.log")


@pytest.fixture
def service(tmp_path: Path, mongodb_uri: str, amqp_url: str) -> Iterator[ServiceProcess]:
    process = evaluation(tmp_path, free_address(), mongodb_uri, amqp_url)
    process.start()
    process.wait_until_serving()
    yield process
    process.stop()


def workers_of(pid: int) -> set[int]:
    """The running children of a process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children}


def all_workers(service: ServiceProcess) -> set[int]:
    return eventually(lambda: workers_of(service.pid), accept=lambda found: len(found) == WORKERS)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_dead_worker_is_replaced(service: ServiceProcess) -> None:
    before = all_workers(service)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    after = eventually(
        lambda: workers_of(service.pid),
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
