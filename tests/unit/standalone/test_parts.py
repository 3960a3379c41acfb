from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime.config import ConfigError
from services.standalone.credentials import (
    Credentials,
    load_credentials,
    save_credentials,
    save_environment,
)
from services.standalone.data_folder import DataFolder
from services.standalone.demo_data import LIVE_FLAG, read_demo
from services.standalone.errors import StandaloneError
from services.standalone.settings import read_settings


def test_all_faults_of_the_settings_are_told_together() -> None:
    variables = {"FEATMESH_API_LISTEN": "7400", "FEATMESH_DRAIN_WINDOW_SECONDS": "soon"}
    variables["FEATMESH_INGEST_PREFETCH"] = "many"
    variables["FEATMESH_GRPC_SERVER"] = "both"
    with pytest.raises(ConfigError) as raised:
        read_settings(variables)
    named = [fault.partition(" ")[0] for fault in raised.value.faults]
    assert sorted(named) == sorted(variables)


def test_everything_has_a_default_and_the_token_stays_in_the_data_folder() -> None:
    settings = read_settings({})
    assert settings.mongodb_uri == ""
    assert settings.data_dir == Path.cwd() / ".featmesh"
    assert settings.token_file == settings.data_dir / "token"
    assert settings.api.bootstrap_token_file == settings.token_file
    assert settings.evaluation.server.drain_delay == 0


@pytest.mark.parametrize(("value", "others"), [("", "aio"), ("loop", "loop"), ("AIO", "aio")])
def test_each_part_has_its_own_server_unless_one_is_named(value: str, others: str) -> None:
    settings = read_settings({"FEATMESH_GRPC_SERVER": value})
    assert settings.evaluation.server.kind == (others if value else "loop")
    assert (settings.api.server.kind, settings.ingest.server.kind) == (others, others)


def test_credentials_are_read_as_they_were_saved(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert load_credentials(folder) is None
    credentials = Credentials("fmt_1", environment="e", server_key="fms_1")
    save_credentials(folder, credentials)
    assert load_credentials(folder) == credentials


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"token": ""}'])
def test_damaged_credentials_are_told_with_their_path(tmp_path: Path, text: str) -> None:
    folder = DataFolder(tmp_path)
    folder.write("credentials.json", text)
    with pytest.raises(StandaloneError, match=r"credentials\.json cannot be read"):
        load_credentials(folder)


def test_what_a_shell_takes_for_its_own_is_quoted_in_the_environment_file(tmp_path: Path) -> None:
    file = save_environment(DataFolder(tmp_path), Credentials("a'b $(c)"))
    assert "export FEATMESH_TOKEN='a'\"'\"'b $(c)'\n" in file.read_text()


def test_a_data_folder_that_cannot_be_made_is_told_with_its_variable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StandaloneError, match="FEATMESH_DATA_DIR"):
        DataFolder(tmp_path / "file" / "data").open()


def test_a_data_folder_is_free_again_once_it_is_closed(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.open()
    with pytest.raises(StandaloneError, match="runs already"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_the_demo_has_the_flag_that_the_welcome_names() -> None:
    export = read_demo()
    flags = {resource.flag.key: resource.flag for resource in export.flags}
    assert flags[LIVE_FLAG].enabled
    assert export.segments


def test_outside_a_checkout_the_demo_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(StandaloneError, match="checkout"):
        read_demo(tmp_path / "examples")
