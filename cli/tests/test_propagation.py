from __future__ import annotations

import io

import pytest
from rich.console import Console

from featmesh.management.v1.flag_service_pb2 import ToggleFlagResponse
from featmesh.management.v1.propagation_service_pb2 import (
    PropagationTimes,
    WatchPropagationResponse,
)

from .fake_api import ENVIRONMENT, Api

DELIVERED = "delivered p50 8 ms, p99 20 ms"
APPLIED = "applied p50 900 ms, p99 4000 ms"


OTHER = "organizations/acme/projects/shop/environments/staging"
TOGGLED = ToggleFlagResponse()
TOGGLED.resource.name = f"{ENVIRONMENT}/flags/dark"
TOGGLED.resource.flag.key = "dark"
TOGGLED.resource.flag.enabled = True
TOGGLED.resource.meta.revision = 78


def watched(api: Api) -> list[tuple[str, int]]:
    return [(each.name, each.revision) for each in api.requests["WatchPropagation"]]


def state(delivered: int, applied: int, *, complete: bool = False) -> WatchPropagationResponse:
    return WatchPropagationResponse(
        revision=78,
        connected_streams=3,
        delivered_streams=delivered,
        applied_streams=applied,
        delivered=PropagationTimes(p50_ms=8, p99_ms=20, streams=delivered),
        applied=PropagationTimes(p50_ms=900, p99_ms=4_000, streams=applied),
        complete=complete,
    )


def test_a_toggle_that_waits_prints_how_far_it_is_and_how_long_it_took(api: Api) -> None:
    api.answers["ToggleFlag"] = TOGGLED
    api.answers["WatchPropagation"] = [state(0, 0), state(3, 1), state(3, 3, complete=True)]
    result = api.run("flags", "toggle", "dark", "--on", "--wait")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "dark is on (revision 78).",
        "3 streams connected, 0 delivered, 0 applied",
        "3 streams connected, 3 delivered, 1 applied",
        "3 streams connected, 3 delivered, 3 applied",
        f"Revision 78 is applied by 3 of 3 streams: {DELIVERED}; {APPLIED}.",
    ]
    assert watched(api) == [(ENVIRONMENT, 78)]


def test_without_being_told_a_command_does_not_wait(api: Api) -> None:
    api.answers["ToggleFlag"] = TOGGLED
    assert api.run("flags", "toggle", "dark", "--on").exit_code == 0
    assert not watched(api)


def test_a_wait_that_is_too_long_says_how_many_are_behind(api: Api) -> None:
    api.answers["ToggleFlag"] = TOGGLED
    api.answers["WatchPropagation"] = [state(2, 1)]
    result = api.run("flags", "toggle", "dark", "--on", "--wait", "--wait-timeout", "0.3")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: 2 of 3 streams have not applied revision 78 within 0.3 seconds"
        " (1 have not been handed it)\n"
    )


def test_a_change_without_streams_is_complete(api: Api) -> None:
    api.answers["ToggleFlag"] = TOGGLED
    api.answers["WatchPropagation"] = [WatchPropagationResponse(revision=78, complete=True)]
    result = api.run("propagation", "watch", OTHER, "--revision", "78")
    assert result.stdout.splitlines()[-1] == "Revision 78: no stream is connected."
    assert watched(api) == [(OTHER, 78)]


def test_the_current_revision_of_the_usual_environment_is_watched_unless_told_otherwise(
    api: Api,
) -> None:
    api.answers["ToggleFlag"] = TOGGLED
    api.answers["WatchPropagation"] = [state(3, 3, complete=True)]
    assert api.run("propagation", "watch").exit_code == 0
    assert watched(api) == [(ENVIRONMENT, 0)]


def test_on_a_terminal_both_steps_are_bars(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr("featmesh_cli.propagation.Console", lambda: terminal)
    api.answers["ToggleFlag"] = TOGGLED
    api.answers["WatchPropagation"] = [state(3, 1), state(3, 3, complete=True)]
    result = api.run("flags", "toggle", "dark", "--on", "--wait")
    assert result.exit_code == 0, result.output
    assert isinstance(terminal.file, io.StringIO)
    drawn = terminal.file.getvalue()
    for part in ("delivered", "applied", "3/3", "p50 8 ms, p99 20 ms", "p99 4000 ms"):
        assert part in drawn


def test_the_environment_of_the_flag_is_waited_for_and_not_the_usual_one(api: Api) -> None:
    toggled = ToggleFlagResponse()
    toggled.CopyFrom(TOGGLED)
    toggled.resource.name = f"{OTHER}/flags/dark"
    api.answers["ToggleFlag"] = toggled
    api.answers["WatchPropagation"] = [state(3, 3, complete=True)]
    api.printed("flags", "toggle", f"{OTHER}/flags/dark", "--on", "--wait")
    assert watched(api) == [(OTHER, 78)]
