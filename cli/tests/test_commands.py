from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result

from featmesh.management.v1 import import_service_pb2
from featmesh.management.v1.flag_service_pb2 import FlagResource
from featmesh_cli.app import app

from .exports import SHOP, small_flag, write_export
from .fake_api import Api, Refusal, running_api

SHOP_FILES = ["--flags", str(SHOP / "flags.json"), "--segments", str(SHOP / "segments.json")]


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


def test_the_shop_is_imported_in_one_request(api: Api) -> None:
    result = run(api, "import", "featbit", *SHOP_FILES, "--on-conflict", "replace")
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "Imported 12 flags and 3 segments; the environment is at revision 77.\n"
    )
    (request,) = api.imports
    assert request.environment_id == "env-1"
    assert request.conflict == import_service_pb2.IMPORT_CONFLICT_REPLACE
    assert not request.options.validate_only
    assert api.tokens == ["Bearer secret"]


def test_a_dry_run_asks_the_server_to_write_nothing(api: Api) -> None:
    result = run(api, "import", "featbit", *SHOP_FILES, "--dry-run")
    assert "Would import 12 flags" in result.output
    assert api.imports[0].options.validate_only


def test_a_file_with_faults_sends_nothing_and_names_each_fault(api: Api, tmp_path: Path) -> None:
    broken = small_flag(key="a b", disabledVariationId="x")
    flags, segments = write_export(tmp_path, [broken], [])
    result = run(api, "import", "featbit", "--flags", str(flags), "--segments", str(segments))
    assert result.exit_code == 1
    assert not api.imports
    assert "nothing imported, 2 faults:" in result.output
    assert 'flags.json: [0].disabledVariationId: unknown variation "x"' in result.output


def test_what_the_server_refuses_is_shown_at_its_place_in_the_file(api: Api) -> None:
    api.refusal = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT,
        "2 fields are invalid",
        (
            ("flags[3].flag.rules[0].conditions[1].operator", "is not known"),
            ("segments[1].name", "is longer than 256 bytes"),
        ),
    )
    result = run(api, "import", "featbit", *SHOP_FILES)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-3:] == [
        "Error: INVALID_ARGUMENT: 2 fields are invalid",
        "  flags.json: [3].rules[0].conditions[1].op: is not known",
        "  segments.json: [1].name: is longer than 256 bytes",
    ]


def test_a_failed_call_is_one_line_and_no_traceback(api: Api) -> None:
    api.refusal = Refusal(grpc.StatusCode.NOT_FOUND, "flag nope is not there")
    result = run(api, "flags", "get", "nope")
    assert result.exit_code == 1
    assert result.output == "Error: NOT_FOUND: flag nope is not there\n"


def test_a_service_that_is_away_is_one_line_and_no_traceback() -> None:
    result = run(Api(address="127.0.0.1:1"), "flags", "list")
    assert result.exit_code == 1
    assert result.output.startswith("Error: the service cannot be reached: ")
    assert result.output.count("\n") == 1


def test_a_missing_environment_names_the_option_and_the_variable(api: Api) -> None:
    result = run(api, "flags", "list", "--environment", "")
    assert result.exit_code == 1
    assert "--environment or FEATMESH_ENVIRONMENT" in result.output


def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(api: Api) -> None:
    result = run(api, "flags", "list", "--token", "gehe\N{LATIN SMALL LETTER I WITH DIAERESIS}m")
    assert result.exit_code == 1
    assert "gehe" not in result.output


def test_a_list_follows_every_page_as_a_table_and_as_json(api: Api) -> None:
    for key in ("first", "second", "third"):
        resource = FlagResource(name=key.upper())
        resource.flag.key = key
        api.flags.append(resource)
    table = run(api, "flags", "list").output
    assert [line.split()[0] for line in table.splitlines()] == ["KEY", "first", "second", "third"]
    document = json.loads(run(api, "flags", "list", "--json").output)
    assert [item["flag"]["key"] for item in document] == ["first", "second", "third"]


def test_a_toggle_without_a_side_is_based_on_the_version_that_was_seen(api: Api) -> None:
    resource = FlagResource()
    resource.flag.key, resource.flag.enabled, resource.flag.version = "dark-mode", True, 4
    api.flags.append(resource)
    result = run(api, "flags", "toggle", "dark-mode")
    assert result.output.startswith("dark-mode is off")
    assert (api.toggles[0].enabled, api.toggles[0].version) == (False, 4)


def test_without_its_extra_the_program_says_how_to_install_it() -> None:
    script = (
        "import sys; sys.modules['click'] = None\n"
        "import importlib.util as u; u.find_spec = lambda name: None if name == 'click' else True\n"
        "from featmesh_cli.main import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == "The command line is an extra: pip install 'featmesh[cli]'\n"
