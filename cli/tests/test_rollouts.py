from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from featmesh.management.v1.rollout_service_pb2 import RolloutTimes, WatchRolloutResponse
from featmesh_cli.app import app

from .fake_api import Api, running_api

DELIVERED = "delivered p50 8 ms, p99 20 ms"
APPLIED = "applied p50 900 ms, p99 4000 ms"


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api() as running:
        yield running


def run(api: Api, *arguments: str) -> Result:
    variables = {
        "FEATMESH_API": api.address,
        "FEATMESH_TOKEN": "secret",
        "FEATMESH_ENVIRONMENT": "env-1",
    }
    return CliRunner().invoke(app, arguments, env=variables)


def state(delivered: int, applied: int, *, complete: bool = False) -> WatchRolloutResponse:
    return WatchRolloutResponse(
        revision=78,
        connected_streams=3,
        delivered_streams=delivered,
        applied_streams=applied,
        delivered=RolloutTimes(p50_ms=8, p99_ms=20, streams=delivered),
        applied=RolloutTimes(p50_ms=900, p99_ms=4_000, streams=applied),
        complete=complete,
    )


def test_a_toggle_that_waits_prints_how_far_it_is_and_how_long_it_took(api: Api) -> None:
    api.rollout = [state(0, 0), state(3, 1), state(3, 3, complete=True)]
    result = run(api, "flags", "toggle", "dark", "--on", "--wait")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "dark is on (revision 78).",
        "3 streams connected, 0 delivered, 0 applied",
        "3 streams connected, 3 delivered, 1 applied",
        "3 streams connected, 3 delivered, 3 applied",
        f"Revision 78 is applied by 3 of 3 streams: {DELIVERED}; {APPLIED}.",
    ]
    assert [(each.environment_id, each.revision) for each in api.watches] == [("env-1", 78)]


def test_without_being_told_a_command_does_not_wait(api: Api) -> None:
    assert run(api, "flags", "toggle", "dark", "--on").exit_code == 0
    assert not api.watches


def test_a_wait_that_is_too_long_says_how_many_are_behind(api: Api) -> None:
    api.rollout = [state(2, 1)]
    result = run(api, "flags", "toggle", "dark", "--on", "--wait", "--wait-timeout", "0.3")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: 2 of 3 streams have not applied revision 78 within 0.3 seconds"
        " (1 have not been handed it)\n"
    )


def test_a_rollout_without_streams_is_complete(api: Api) -> None:
    api.rollout = [WatchRolloutResponse(revision=78, complete=True)]
    result = run(api, "rollout", "watch", "env-2", "--revision", "78")
    assert result.stdout.splitlines()[-1] == "Revision 78: no stream is connected."
    assert [(each.environment_id, each.revision) for each in api.watches] == [("env-2", 78)]


def test_the_current_revision_of_the_usual_environment_is_watched_unless_told_otherwise(
    api: Api,
) -> None:
    api.rollout = [state(3, 3, complete=True)]
    assert run(api, "rollout", "watch").exit_code == 0
    assert [(each.environment_id, each.revision) for each in api.watches] == [("env-1", 0)]


def test_on_a_terminal_both_steps_are_bars(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr("featmesh_cli.rollouts.Console", lambda: terminal)
    api.rollout = [state(3, 1), state(3, 3, complete=True)]
    result = run(api, "flags", "toggle", "dark", "--on", "--wait")
    assert result.exit_code == 0, result.output
    assert isinstance(terminal.file, io.StringIO)
    drawn = terminal.file.getvalue()
    for part in ("delivered", "applied", "3/3", "p50 8 ms, p99 20 ms", "p99 4000 ms"):
        assert part in drawn
