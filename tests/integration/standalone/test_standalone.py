from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from featmesh.management.v1 import flag_service_pb2
from featmesh.management.v1.flag_service_pb2_grpc import FlagServiceStub
from tests.integration.standalone.processes import (
    WELCOME,
    Standalone,
    is_alive,
    run_to_its_end,
)
from tests.support.waiting import PATIENCE, eventually

FLAG = "checkout-enabled"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    standalone = Standalone(tmp_path_factory.mktemp("demo"))
    try:
        standalone.start()
        yield standalone
    finally:
        standalone.wait()


def flags_of(standalone: Standalone) -> dict[str, bool]:
    """Whether each flag is on."""
    kept = standalone.credentials
    request = flag_service_pb2.ListFlagsRequest(parent=kept["environment"])
    metadata = (("authorization", f"Bearer {kept['token']}"),)
    with standalone.channel() as channel:
        stub = FlagServiceStub(channel)
        answer = stub.ListFlags(request, metadata=metadata, timeout=PATIENCE)
    return {resource.flag.key: resource.flag.enabled for resource in answer.resources}


def pasted(standalone: Standalone, line: str) -> str:
    """What a line does that a person pastes after ``source``-ing the environment file."""
    run = subprocess.run(
        ["bash", "-eu", "-c", f"source {standalone.data / 'env'}; {line}"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_every_service_serves(demo: Standalone) -> None:
    for address in demo.addresses:
        with grpc.insecure_channel(address) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            answer = check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_addresses_keys_and_lines_to_paste_are_printed(demo: Standalone) -> None:
    printed, kept = demo.log.read_text(), demo.credentials
    assert kept["api"] == demo.addresses[0]
    assert kept["server_key"].startswith("fms_")
    assert kept["client_key"].startswith("fmc_")
    assert [value for value in kept.values() if value not in printed] == []
    assert f"featmesh watch {FLAG}" in printed
    assert f"featmesh flags toggle {FLAG}" in printed


def test_only_the_owner_can_read_the_credentials(demo: Standalone) -> None:
    for name in ("credentials.json", "env", "token"):
        assert stat.S_IMODE((demo.data / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(demo.data.stat().st_mode) == 0o700


def test_the_printed_lines_show_a_flag_changing_live(demo: Standalone, tmp_path: Path) -> None:
    seen = tmp_path / "watched"
    with seen.open("w") as output:
        watch = subprocess.Popen(
            ["bash", "-c", f"source {demo.data / 'env'}; exec featmesh watch {FLAG}"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        first = eventually(seen.read_text)
        pasted(demo, f"featmesh flags toggle {FLAG}")
        then = eventually(seen.read_text, accept=lambda text: len(text) > len(first))
        before, after = (text.splitlines()[-1] for text in (first, then))
        assert ("true" in before) is not ("true" in after), then
    finally:
        watch.terminate()
        watch.wait(PATIENCE)


def test_a_second_process_on_the_same_folder_is_refused_in_one_line(demo: Standalone) -> None:
    code, printed, errors = run_to_its_end(demo)
    assert (code, printed) == (1, "")
    assert len(errors.splitlines()) == 1
    assert "FeatMesh runs already" in errors


@pytest.mark.usefixtures("store")
def test_a_taken_port_is_told_in_one_line_with_its_variable(
    demo: Standalone, tmp_path: Path, mongodb_uri: str, database_name: str
) -> None:
    variables = {
        "FEATMESH_MONGODB_URI": mongodb_uri,
        "FEATMESH_MONGODB_DATABASE": database_name,
        "FEATMESH_INGEST_LISTEN": demo.addresses[2],
    }
    code, _, errors = run_to_its_end(Standalone(tmp_path, variables))
    assert code == 1
    assert len(errors.splitlines()) == 1
    assert demo.addresses[2] in errors
    assert "FEATMESH_INGEST_LISTEN" in errors


def test_ctrl_c_stops_everything_and_a_second_start_keeps_data_and_keys(tmp_path: Path) -> None:
    standalone = Standalone(tmp_path)
    try:
        first = standalone.start()
        assert "Importing" in first
        kept, mongod = standalone.credentials, standalone.mongod_pid
        pasted(standalone, f"featmesh flags toggle {FLAG}")
        flags = flags_of(standalone)
        assert len(flags) >= 10

        assert standalone.interrupt() == 0
        assert not is_alive(mongod)
        # mongod empties its lock at the end of a clean stop.
        assert (standalone.data / "mongodb" / "mongod.lock").read_text() == ""

        second = standalone.start()
        assert "Importing" not in second
        assert standalone.credentials == kept
        assert flags_of(standalone) == flags
        assert standalone.interrupt() == 0
    finally:
        standalone.wait()


def test_the_end_of_mongod_ends_the_whole_and_says_so(tmp_path: Path) -> None:
    standalone = Standalone(tmp_path, arguments=())
    try:
        assert WELCOME in standalone.start()
        subprocess.run(["kill", "-9", str(standalone.mongod_pid)], check=True)
        assert standalone.wait_for_end() == 1
        assert "MongoDB ended" in standalone.log.read_text()
    finally:
        standalone.wait()


@pytest.mark.usefixtures("store")
def test_data_without_its_credentials_is_told_with_what_to_do(
    tmp_path: Path, mongodb_uri: str, database_name: str
) -> None:
    variables = {"FEATMESH_MONGODB_URI": mongodb_uri, "FEATMESH_MONGODB_DATABASE": database_name}
    standalone = Standalone(tmp_path, variables)
    try:
        standalone.start()
        assert standalone.interrupt() == 0
        for name in ("credentials.json", "token"):
            (standalone.data / name).unlink()
        code, _, errors = run_to_its_end(standalone)
        assert code == 1
        assert len(errors.splitlines()) == 1
        assert "delete the data folder" in errors
    finally:
        standalone.wait()
