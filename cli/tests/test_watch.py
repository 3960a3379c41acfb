from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from featmesh_cli.app import app

# The stage is shared with the client's tests; these folders are no installed package.
from sdks.python.tests.client.frames import flag, full, patch
from sdks.python.tests.client.stage import LIMIT, Stage, running_stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with running_stage() as running:
        yield running


def test_watch_prints_the_value_each_change_and_ends_cleanly_on_ctrl_c(stage: Stage) -> None:
    command = [sys.executable, "-m", "featmesh_cli", "watch", "dark", "--user", "ada"]
    access = ["--evaluation", stage.address, "--sdk-key", "key"]
    with subprocess.Popen(
        [*command, *access], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        try:
            assert watching.stdout is not None
            stream = stage.next_stream()
            stream.send(full(1, flag("dark", value=True)))
            assert watching.stdout.readline()[8:] == "  dark = true  (Value)  RULE_MATCH Rule\n"
            stream.send(patch(2, flag("other", revision=2)))
            stream.send(patch(3, flag("dark", value=False, revision=3)))
            assert watching.stdout.readline()[8:] == "  dark = false  (Value)  RULE_MATCH Rule\n"
            watching.send_signal(signal.SIGINT)
            rest, errors = watching.communicate(timeout=LIMIT)
        finally:
            watching.kill()
    assert (watching.returncode, rest, errors.strip()) == (0, "", "")


def test_track_sends_one_event_with_its_user(stage: Stage) -> None:
    arguments = ["track", "bought", "--user", "ada", "--attribute", "age=7", "--value", "9.5"]
    access = ["--evaluation", stage.address, "--sdk-key", "key"]
    result = CliRunner().invoke(app, [*arguments, *access])
    assert result.output == "bought of ada is stored.\n"
    batch = stage.next_batch()
    assert batch.users[0].attributes["age"].number_value == 7
    assert (batch.metrics[0].user_key, batch.metrics[0].value) == ("ada", 9.5)


def test_an_attribute_without_a_value_is_wrong_usage(stage: Stage) -> None:
    access = ["--evaluation", stage.address, "--sdk-key", "key"]
    result = CliRunner().invoke(app, ["evaluate", "--attribute", "age", *access])
    assert result.exit_code == 2
    assert "'age' is not NAME=VALUE" in result.output
