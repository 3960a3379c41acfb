"""Benchmark records on disk: written whole or not at all, read, compared with their Markdown."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from bench.markdown import render
from bench.model import Record, RecordError, decode, encode

_NO_RECORDS = {"README.md"}


def save(record: Record, folder: Path) -> Path:
    """Write ``<name>.json`` and ``<name>.md`` into ``folder``; the JSON's path.

    Each file is replaced in one step. The JSON comes first, being the truth: should the run end
    between the two, `check` finds the Markdown stale and `rerender` mends it.

    Raises:
        RecordError: the record breaks the format; nothing is written.
    """
    text = encode(record)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.name}.json"
    _replace(path, text)
    _replace(path.with_suffix(".md"), render(record))
    return path


def load(path: Path) -> Record:
    """The record in ``path``.

    Raises:
        RecordError: it is no JSON, breaks the format or is named otherwise than its file.
        OSError: it cannot be read.
    """
    try:
        record = decode(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError([f"is no JSON: {error}"]) from error
    if record.name != path.stem:
        raise RecordError([f"name: is {record.name!r}, but the file is {path.name}"])
    return record


def rerender(path: Path) -> Path:
    """Make the Markdown of the record in ``path`` anew; the Markdown's path."""
    markdown = path.with_suffix(".md")
    _replace(markdown, render(load(path)))
    return markdown


def check(folder: Path) -> list[str]:
    """Every fault in ``folder``: a record out of format, a Markdown stale, missing or orphaned."""
    records = sorted(folder.glob("*.json"))
    faults = [fault for path in records for fault in _record_faults(path)]
    orphans = {path.stem for path in folder.glob("*.md") if path.name not in _NO_RECORDS}
    orphans -= {path.stem for path in records}
    return faults + [f"{folder / name}.md: has no {name}.json" for name in sorted(orphans)]


def _record_faults(path: Path) -> list[str]:
    try:
        expected = render(load(path))
    except RecordError as error:
        return [f"{path}: {fault}" for fault in error.faults]
    markdown = path.with_suffix(".md")
    if markdown.is_file() and markdown.read_text(encoding="utf-8") == expected:
        return []
    return [f"{markdown}: is not current; run: python -m bench.record {path}"]


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)  # mkstemp's 0600 would keep a colleague out
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
