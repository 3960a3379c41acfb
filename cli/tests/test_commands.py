from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grpc

from featmesh.management.v1 import import_service_pb2

from .exports import SHOP, small_flag, write_export
from .fake_api import ENVIRONMENT, Api, Refusal

SHOP_FILES = ["--flags", str(SHOP / "flags.json"), "--segments", str(SHOP / "segments.json")]


def import_items(
    request: import_service_pb2.ImportItemsRequest,
) -> import_service_pb2.ImportItemsResponse:
    return import_service_pb2.ImportItemsResponse(
        revision=77, flags_written=len(request.flags), segments_written=len(request.segments)
    )


def test_the_shop_is_imported_in_one_request(api: Api) -> None:
    api.answers["ImportItems"] = import_items
    result = api.run("import", "featbit", *SHOP_FILES, "--on-conflict", "replace")
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "Imported 12 flags and 3 segments; the environment is at revision 77.\n"
    )
    request = api.only("ImportItems")
    assert request.parent == ENVIRONMENT
    assert request.conflict == import_service_pb2.IMPORT_CONFLICT_REPLACE
    assert not request.options.validate_only
    assert api.tokens == ["Bearer secret"]


def test_a_dry_run_asks_the_server_to_write_nothing(api: Api) -> None:
    api.answers["ImportItems"] = import_items
    result = api.run("import", "featbit", *SHOP_FILES, "--dry-run")
    assert "Would import 12 flags" in result.output
    assert api.only("ImportItems").options.validate_only


def test_a_file_with_faults_sends_nothing_and_names_each_fault(api: Api, tmp_path: Path) -> None:
    broken = small_flag(key="a b", disabledVariationId="x")
    flags, segments = write_export(tmp_path, [broken], [])
    result = api.run("import", "featbit", "--flags", str(flags), "--segments", str(segments))
    assert result.exit_code == 1
    assert not api.requests
    assert "nothing imported, 2 faults:" in result.output
    assert 'flags.json: [0].disabledVariationId: unknown variation "x"' in result.output


def test_what_the_server_refuses_is_shown_at_its_place_in_the_file(api: Api) -> None:
    api.answers["ImportItems"] = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT,
        "2 fields are invalid",
        (
            ("flags[3].flag.rules[0].conditions[1].operator", "is not known"),
            ("segments[1].display_name", "is longer than 256 bytes"),
        ),
    )
    result = api.run("import", "featbit", *SHOP_FILES)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-3:] == [
        "Error: INVALID_ARGUMENT: 2 fields are invalid",
        "  flags.json: [3].rules[0].conditions[1].op: is not known",
        "  segments.json: [1].name: is longer than 256 bytes",
    ]


def test_a_failed_call_is_one_line_and_no_traceback(api: Api) -> None:
    api.answers["GetFlag"] = Refusal(grpc.StatusCode.NOT_FOUND, "flag nope is not there")
    result = api.run("flags", "get", "nope")
    assert result.exit_code == 1
    assert result.output == "Error: NOT_FOUND: flag nope is not there\n"


def test_a_service_that_is_away_is_one_line_and_no_traceback() -> None:
    result = Api(address="127.0.0.1:1").run("flags", "list")
    assert result.exit_code == 1
    assert result.output.startswith("Error: the service cannot be reached: ")
    assert result.output.count("\n") == 1


def test_a_missing_environment_names_the_option_and_the_variable(api: Api) -> None:
    result = api.run("flags", "list", "--environment", "")
    assert result.exit_code == 1
    assert "--environment or FEATMESH_ENVIRONMENT" in result.output


def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(api: Api) -> None:
    result = api.run("flags", "list", "--token", "gehe\N{LATIN SMALL LETTER I WITH DIAERESIS}m")
    assert result.exit_code == 1
    assert "gehe" not in result.output


def test_without_its_parts_the_program_says_how_to_install_it() -> None:
    script = (
        "import sys; sys.modules['click'] = None\n"
        "import importlib.util as u; u.find_spec = lambda name: None if name == 'click' else True\n"
        "from featmesh_cli.main import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == "A part of the command line is missing: pip install featmesh-cli\n"


def test_a_refusal_names_the_permission_that_is_missing(api: Api) -> None:
    metadata = {"permission": "flags.toggle"}
    denied = Refusal(grpc.StatusCode.PERMISSION_DENIED, "you may not do that", metadata=metadata)
    api.answers["ToggleFlag"] = denied
    assert api.refused("flags", "toggle", "dark", "--on") == (
        "Error: not allowed: you may not do that\n  missing permission: flags.toggle\n"
    )


def test_a_text_from_the_server_does_not_command_the_terminal(api: Api) -> None:
    api.answers["GetFlag"] = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT, "no \x1b[2Jkey", (("name", "is '\u202eevil\x9b1m'"),)
    )
    assert api.refused("flags", "get", "x") == (
        "Error: INVALID_ARGUMENT: no \\u001b[2Jkey\n  name: is '\\u202eevil\\u009b1m'\n"
    )
