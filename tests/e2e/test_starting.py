"""How services start and stop when something around them is wrong."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

import featmesh
from featmesh.management.v1 import flag_service_pb2, flag_service_pb2_grpc
from tests.support.flags import boolean_flag
from tests.support.mesh import Mesh, ServiceProcess, call, three_services
from tests.support.mongodb import fresh_database_name
from tests.support.places import make_place
from tests.support.ports import free_address
from tests.support.proxy import TcpProxy
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.long(50)

SERVICES: Final = ("api", "evaluation", "ingest")
SERVING: Final = health_pb2.HealthCheckResponse.SERVING
STOP_SECONDS: Final = 1 + 10 + 4
"""The drain window of `three_services`, what is documented, and a busy machine."""

NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


@asynccontextmanager
async def closed_proxy(url: str) -> AsyncIterator[TcpProxy]:
    """In front of the URL's host, on a port that refuses until the proxy is opened."""
    target = urlsplit(url)
    proxy = TcpProxy(target.hostname or "127.0.0.1", target.port or 0)
    await proxy.open()
    await proxy.cut()
    try:
        yield proxy
    finally:
        await proxy.cut()


def through(url: str, proxy: TcpProxy) -> str:
    """The URL by way of the proxy."""
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{credentials}@127.0.0.1:{proxy.port}").geturl()


@asynccontextmanager
async def started(mesh: Mesh) -> AsyncIterator[dict[str, ServiceProcess]]:
    """By name. They are stopped from a thread, for proxies to go on meanwhile."""
    try:
        for process in mesh.processes:
            process.start()
        yield {process.name: process for process in mesh.processes}
    finally:
        codes = await asyncio.to_thread(mesh.stop)
    assert codes == [0] * len(codes)


async def health(process: ServiceProcess, service: str = "") -> int:
    """Of a service that may still be starting."""
    async with aio.insecure_channel(process.address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        request = health_pb2.HealthCheckRequest(service=service)
        answer = await check(request, timeout=PATIENCE, wait_for_ready=True)
    return int(answer.status)


async def logged(process: ServiceProcess, *texts: str) -> str:
    """The line that has all the texts, once it is written."""

    def line() -> str:
        lines = process.log.read_text().splitlines()
        return next((line for line in lines if all(text in line for text in texts)), "")

    return await asyncio.to_thread(eventually, line)


async def test_services_wait_for_store_and_broker_and_say_what_they_wait_for(
    mongodb_uri: str, amqp_url: str, tmp_path: Path
) -> None:
    async with closed_proxy(mongodb_uri) as store, closed_proxy(amqp_url) as broker:
        mesh = three_services(
            tmp_path,
            # A direct connection, since the replica set names an address that is up.
            mongodb=f"mongodb://127.0.0.1:{store.port}/?directConnection=true",
            database=fresh_database_name(),
            amqp=through(amqp_url, broker),
        )
        async with started(mesh) as processes:
            for process in mesh.processes:
                assert await health(process, "live") == SERVING
                assert await health(process) == NOT_SERVING
                await logged(process, "FEATMESH_MONGODB_URI", f"127.0.0.1:{store.port}")
                await logged(process, "FEATMESH_AMQP_URL", f"127.0.0.1:{broker.port}")

            await store.open()
            await logged(processes["ingest"], "FEATMESH_MONGODB_URI", "is available")
            assert await health(processes["ingest"]) == NOT_SERVING
            # Changes reach these two by polling, and wait in the outbox.
            await asyncio.to_thread(processes["api"].wait_until_serving)
            await asyncio.to_thread(processes["evaluation"].wait_until_serving)

            await broker.open()
            await asyncio.to_thread(processes["ingest"].wait_until_serving)


async def test_services_that_wait_stop_at_once_and_their_logs_have_no_password(
    tmp_path: Path,
) -> None:
    nowhere = free_address()
    mesh = three_services(
        tmp_path,
        mongodb=f"mongodb://ada:s3cret@{nowhere}/?directConnection=true",
        database=fresh_database_name(),
        amqp=f"amqp://ada:s3cret@{nowhere}/",
    )
    async with started(mesh):
        for process in mesh.processes:
            await logged(process, f"FEATMESH_MONGODB_URI ({nowhere}) is not available")
            await logged(process, "FEATMESH_AMQP_URL", nowhere)
    for process in mesh.processes:
        log = process.log.read_text()
        assert "s3cret" not in log
        assert "Traceback" not in log


async def test_a_service_that_a_shell_started_in_the_background_stops_on_sigint(
    tmp_path: Path,
) -> None:
    nowhere = free_address()
    address = free_address()
    variables = {
        "FEATMESH_INGEST_LISTEN": address,
        "FEATMESH_MONGODB_URI": f"mongodb://{nowhere}/?directConnection=true",
        "FEATMESH_AMQP_URL": f"amqp://{nowhere}/",
        "FEATMESH_DRAIN_DELAY_SECONDS": "0",
    }
    in_background = ("env", "--ignore-signal=INT")  # as a shell without job control does
    process = ServiceProcess("ingest", address, variables, tmp_path / "log", launcher=in_background)
    process.start()
    try:
        assert await health(process, "live") == SERVING
        os.kill(process.pid, signal.SIGINT)
        assert await asyncio.to_thread(process.wait, STOP_SECONDS) == 0
    finally:
        process.kill()


@pytest.mark.parametrize("fault", [TcpProxy.cut, TcpProxy.hold], ids=["gone", "silent"])
async def test_services_stop_in_the_documented_time_without_store_and_broker(
    fault: Callable[[TcpProxy], Awaitable[None] | None],
    mongodb_uri: str,
    amqp_url: str,
    tmp_path: Path,
) -> None:
    """docs/operations/settings.md: the drain times, and ten seconds for messages under way."""
    async with closed_proxy(mongodb_uri) as store, closed_proxy(amqp_url) as broker:
        await asyncio.gather(store.open(), broker.open())
        mesh = three_services(
            tmp_path,
            mongodb=f"mongodb://127.0.0.1:{store.port}/?directConnection=true",
            database=fresh_database_name(),
            amqp=through(amqp_url, broker),
        )
        async with started(mesh):
            for process in mesh.processes:
                await asyncio.to_thread(process.wait_until_serving)
            for proxy in (store, broker):
                await (fault(proxy) or asyncio.sleep(0))
            for process in mesh.processes:
                process.terminate()
            for process in mesh.processes:
                assert await asyncio.to_thread(process.wait, STOP_SECONDS) == 0
                assert "is killed" not in process.log.read_text()


def run_to_its_end(name: str, folder: Path, variables: Mapping[str, str]) -> tuple[int, list[str]]:
    """Exit code and error output of a start that is to be refused."""
    own = {key: value for key, value in os.environ.items() if "FEATMESH_" not in key}
    done = subprocess.run(
        [sys.executable, "-m", f"services.{name}"],
        env={**own, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert not done.stdout
    # gRPC's C core logs a failed listen by itself, before and whatever we say.
    lines = [line for line in done.stderr.splitlines() if not re.match(r"[EWI]\d{4} ", line)]
    return done.returncode, lines


@pytest.mark.parametrize("name", SERVICES)
def test_all_wrong_settings_are_named_together(name: str, tmp_path: Path) -> None:
    wrong = {
        "FEATMESH_MONGODB_URI": "",
        "FEATMESH_AMQP_URL": " ",
        f"FEATMESH_{name.upper()}_LISTEN": "nowhere",
        "FEATMESH_DRAIN_DELAY_SECONDS": "soon",
        "FEATMESH_DRAIN_WINDOW_SECONDS": "-1",
    }
    code, lines = run_to_its_end(name, tmp_path, wrong)
    assert code == 2
    assert lines[0] == "Wrong settings:"
    assert sorted(line.split()[0] for line in lines[1:]) == sorted(wrong)


@pytest.mark.parametrize("name", SERVICES)
def test_addresses_that_cannot_be_any_are_wrong_settings(name: str, tmp_path: Path) -> None:
    wrong = {
        "FEATMESH_MONGODB_URI": "http://ada:s3cret@nowhere",
        "FEATMESH_AMQP_URL": "http://ada:s3cret@nowhere",
    }
    code, lines = run_to_its_end(name, tmp_path, wrong)
    assert code == 2
    assert sorted(line.split()[0] for line in lines[1:]) == sorted(wrong)
    assert "s3cret" not in str(lines)


@pytest.mark.parametrize("name", SERVICES)
def test_a_taken_port_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        variables = {
            "FEATMESH_MONGODB_URI": "mongodb://127.0.0.1:1/?directConnection=true",
            "FEATMESH_AMQP_URL": "amqp://127.0.0.1:1/",
            "FEATMESH_DRAIN_DELAY_SECONDS": "0",
            "FEATMESH_LOG_LEVEL": "ERROR",
            f"FEATMESH_{name.upper()}_LISTEN": address,
        }
        code, lines = run_to_its_end(name, tmp_path, variables)
    assert code == 1
    (line,) = lines
    assert f"cannot listen on {address}" in line


@pytest.mark.parametrize("mesh", ["three-services"], indirect=True)
def test_a_client_whose_service_stops_goes_on_at_another_one(
    mesh: Mesh, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="featmesh")
    remaining = next(each for each in mesh.processes if each.name == "evaluation")
    stopping = remaining.another(tmp_path / "log")
    user = featmesh.Context("ada")
    with ExitStack() as stack:
        channel = stack.enter_context(grpc.insecure_channel(mesh.api))
        place = make_place(mesh, channel, "stopping")
        flags = flag_service_pb2_grpc.FlagServiceStub(channel)
        create = flag_service_pb2.CreateFlagRequest(
            parent=place.environment, resource=boolean_flag("door")
        )
        call(flags.CreateFlag, create, mesh)
        stopping.start()
        stack.callback(stopping.stop)
        stopping.wait_until_serving()
        both = f"ipv4:{stopping.address},{remaining.address}"  # the first one that answers is taken
        client = stack.enter_context(featmesh.Client(both, place.server_key))
        assert client.wait_until_ready(PATIENCE)
        assert client.boolean_value("door", user, default=False)

        assert stopping.stop() == 0
        eventually(lambda: "GOODBYE_REASON_DRAINING" in caplog.text)
        assert client.boolean_value("door", user, default=False), "what is held is served"
        toggle = flag_service_pb2.ToggleFlagRequest(name=place.flag("door"), enabled=False)
        call(flags.ToggleFlag, toggle, mesh)
        eventually(lambda: not client.boolean_value("door", user, default=True))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert "Traceback" not in stopping.log.read_text()
