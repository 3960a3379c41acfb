"""The files themselves: their form, their index, and that nobody edited them by hand."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import Any

import jsonschema
import pytest

from featmesh.engine import Operator
from sdks.conformance.authoring.files import rendered

from .vectors import FOLDER, INDEX, PATHS, read_json

PROTOCOL = FOLDER.parents[1] / "docs" / "protocol"
CASES: list[dict[str, Any]] = [case for path in PATHS for case in read_json(path)["cases"]]


@pytest.mark.parametrize("path", PATHS)
def test_a_file_fits_the_schema(path: str) -> None:
    jsonschema.validate(read_json(path), read_json("schema/vectors.schema.json"))


def test_the_index_fits_its_schema() -> None:
    jsonschema.validate(INDEX, read_json("schema/index.schema.json"))


def test_the_index_tells_every_file_with_its_cases_and_digest() -> None:
    assert sorted(PATHS) == sorted(f"v1/{path.name}" for path in (FOLDER / "v1").iterdir())
    for entry in INDEX["files"]:
        content = read_json(entry["path"])
        assert (len(content["cases"]), content["title"]) == (entry["cases"], entry["title"])
        assert content["version"] == INDEX["version"]
        assert hashlib.sha256((FOLDER / entry["path"]).read_bytes()).hexdigest() == entry["sha256"]
    assert len(CASES) == INDEX["cases"]


def test_ids_are_unique_over_all_files() -> None:
    twice = [each for each, times in Counter(case["id"] for case in CASES).items() if times > 1]
    assert not twice


def test_every_clause_is_one_of_the_specification_and_every_testable_one_has_cases() -> None:
    cited = {case["clause"] for case in CASES}
    headings = {
        f"{name} {number}"
        for name in ("evaluation", "bucketing")
        for number in re.findall(
            r"^### ([0-9]+\.[0-9]+) ", (PROTOCOL / f"{name}.md").read_text("utf-8"), re.MULTILINE
        )
    }
    assert cited <= headings
    untested = {"evaluation 1.1", "evaluation 1.2", "evaluation 4.1"}  # they define, others decide
    untested |= {"evaluation 6.2", "evaluation 6.3", "bucketing 1.1", "bucketing 2.1"}
    assert headings - cited == untested


def test_every_operator_is_tested_where_it_holds_and_where_it_does_not() -> None:
    told = " ".join(case["says"] for case in CASES)
    for operator in Operator:
        assert f"so {operator} holds." in told
        assert f"so {operator} does not hold." in told


def test_the_committed_files_are_what_their_authoring_gives() -> None:
    """After a change of the tables: `python -m sdks.conformance.authoring`."""
    for path, text in rendered().items():
        assert (FOLDER / path).read_text(encoding="utf-8") == text, path
