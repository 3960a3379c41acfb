"""An operator waits for a change, on a mesh of real processes."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest

import featmesh
from tests.e2e.command_line import SHOP_FILES, Operator, operator_of
from tests.support.mesh import Mesh, ServiceProcess
from tests.support.places import Place, make_place
from tests.support.ports import free_address
from tests.support.waiting import PATIENCE, eventually

QUICK = featmesh.Options(flush_interval=0.2)


@pytest.fixture
def place(mesh: Mesh) -> Place:
    with grpc.insecure_channel(mesh.api) as channel:
        return make_place(mesh, channel, f"propagation-{uuid.uuid4()}")


@pytest.fixture
def operator(mesh: Mesh, place: Place) -> Operator:
    working = operator_of(mesh, place)
    working.run("import", "featbit", *SHOP_FILES)
    return working


def connected(operator: Operator, streams: int) -> str:
    """Returns once so many streams have the current revision."""
    return eventually(
        lambda: operator.run("propagation", "watch"),
        accept=lambda printed: f"applied by {streams} of {streams} streams" in printed,
    )


def test_a_toggle_that_waits_ends_when_both_sdks_answer_with_it(
    mesh: Mesh, place: Place, operator: Operator
) -> None:
    ada = featmesh.Context("ada")
    with (
        featmesh.Client(mesh.evaluation, place.server_key, options=QUICK) as server,
        featmesh.ClientSideClient(mesh.evaluation, place.client_key, ada, options=QUICK) as user,
    ):
        assert server.wait_until_ready(PATIENCE)
        assert user.wait_until_ready(PATIENCE)
        connected(operator, 2)
        printed = operator.run("flags", "toggle", "checkout-enabled", "--off", "--wait")
        answers = [
            server.boolean_detail("checkout-enabled", ada, default=True),
            user.boolean_detail("checkout-enabled", default=True),
        ]
    assert [detail.value for detail in answers] == [False, False]
    (revision,) = {detail.revision for detail in answers}
    first, *_, last = printed.splitlines()
    assert first == f"checkout-enabled is off (revision {revision})."
    assert last.startswith(f"Revision {revision} is applied by 2 of 2 streams: delivered p50 ")
    evaluated = operator.run("evaluate", "checkout-enabled")
    assert f"The environment is at revision {revision}." in evaluated


def test_every_command_that_writes_can_wait_and_nobody_connected_is_nobody_to_wait_for(
    operator: Operator,
) -> None:
    for arguments in (
        ("flags", "archive", "gift-wrapping"),
        ("flags", "restore", "gift-wrapping"),
        ("flags", "update", "gift-wrapping", "--description", "In paper."),
        ("flags", "delete", "gift-wrapping"),
        ("import", "featbit", *SHOP_FILES, "--on-conflict", "replace"),
    ):
        assert operator.run(*arguments, "--wait").endswith(": no stream is connected.\n")


@contextmanager
def another_evaluation(mesh: Mesh, folder: Path) -> Iterator[ServiceProcess]:
    """A second process beside the mesh's own."""
    (own,) = (each for each in mesh.processes if each.name == "evaluation")
    address = free_address()
    variables = {
        **own.variables,
        "FEATMESH_EVALUATION_LISTEN": address,
        "FEATMESH_EVALUATION_WORKERS": "1",  # the process itself, without a supervisor
        "FEATMESH_METRICS_LISTEN": free_address(),
    }
    process = ServiceProcess("evaluation", address, variables, folder / "another.log")
    process.start()
    try:
        process.wait_until_serving()
        yield process
    finally:
        process.stop()


@pytest.mark.parametrize("mesh", ["three-services"], indirect=True)
def test_the_streams_of_a_process_that_was_killed_are_soon_no_longer_waited_for(
    mesh: Mesh, place: Place, operator: Operator, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        another = stack.enter_context(another_evaluation(mesh, tmp_path))
        for address in (mesh.evaluation, another.address):
            sdk = featmesh.Client(address, place.server_key, options=QUICK)
            assert stack.enter_context(sdk).wait_until_ready(PATIENCE)
        connected(operator, 2)
        os.kill(another.pid, signal.SIGKILL)
        refusal = operator.behind("flags", "toggle", "checkout-enabled", "--off", "--wait")
        assert "of 2 streams have not applied revision" in refusal
        connected(operator, 1)
