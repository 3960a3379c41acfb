"""Records on disk and the command that keeps them in order."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bench.files import check, load, save
from bench.model import RecordError
from bench.record import main
from bench.tests.records.examples import RECORD


def test_a_saved_record_is_loaded_alike_and_its_markdown_is_current(tmp_path: Path) -> None:
    path = save(RECORD, tmp_path / "new")
    assert load(path) == RECORD
    assert check(tmp_path / "new") == []
    assert main(["--check", str(tmp_path / "new")]) == 0


def test_a_run_that_is_interrupted_while_writing_leaves_the_old_record_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(RECORD, tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(replace(RECORD, method="Another."), tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert load(path) == RECORD


def test_a_stale_markdown_is_reported_and_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(RECORD, tmp_path)
    path.with_suffix(".md").write_text("edited by hand")
    assert main(["--check", str(tmp_path)]) == 1
    assert "push.md: is not current" in capsys.readouterr().err
    assert main([str(path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0


def test_a_missing_and_an_orphaned_markdown_are_faults(tmp_path: Path) -> None:
    save(RECORD, tmp_path).with_suffix(".md").rename(tmp_path / "pull.md")
    (tmp_path / "README.md").write_text("What the records are.")
    missing, orphan = check(tmp_path)
    assert "push.md: is not current" in missing
    assert "pull.md: has no pull.json" in orphan


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "push"}', "\udcff"])
def test_a_file_that_is_no_record_is_reported_without_a_traceback(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "push.json"
    path.write_text(content, errors="surrogateescape")
    assert main(["--check", str(tmp_path)]) == 1
    assert main([str(path)]) == 1
    assert str(path) in capsys.readouterr().err


def test_a_record_is_named_as_its_file(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"name: is 'push', but the file is pull\.json"):
        load(save(RECORD, tmp_path).rename(tmp_path / "pull.json"))


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert main(["--check", str(tmp_path / "typo")]) == 1


def test_the_projects_own_records_are_in_order() -> None:
    assert main(["--check"]) == 0
