"""The format of benchmark records, as the design states it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bench.model import Raw, RecordError, decode, encode
from bench.tests.records.examples import RECORD, ROW

# The example of the design, word for word but for the elided texts.
DESIGN = """
{ "name": "push", "date": "2026-11-22", "commit": "abc1234",
  "machine": {"cores": 2, "memory_gib": 24, "cpu": "AMD", "kernel": "6.18"},
  "versions": {"python": "3.11.7", "grpcio": "1.85.1"},
  "method": "two or three sentences",
  "rows": [ {"work": "10000 streams, one change", "subject": "featmesh",
             "metric": "server CPU per push", "unit": "us", "value": 41.2, "min": 38.0,
             "max": 47.9, "rounds": 9, "goal": 40, "better": "lower"} ] }
"""


@pytest.fixture
def data() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DESIGN)
    return loaded


def faults(data: object) -> tuple[str, ...]:
    with pytest.raises(RecordError) as caught:
        decode(data)
    return caught.value.faults


def test_the_designs_example_is_read_and_written_alike(data: dict[str, Any]) -> None:
    assert json.loads(encode(decode(data))) == data


def test_a_record_is_read_back_as_it_was_written() -> None:
    record = replace(RECORD, raw=(Raw(ROW.work, ROW.subject, ROW.metric, (38.0, 41.2, 47.9)),))
    assert decode(json.loads(encode(record))) == record


def test_every_fault_is_listed_with_its_path(data: dict[str, Any]) -> None:
    del data["machine"]["cpu"]
    data["rows"][0] |= {"value": "41", "colour": "red"}
    data["versions"]["grpcio"] = 1.85
    data["raw"] = [{"work": "w", "subject": "s", "metric": "m", "values": [1, True]}]
    assert faults(data) == (
        "machine.cpu: is missing",
        "rows[0].colour: is not in the format",
        "rows[0].value: want a number",
        "versions.grpcio: want text",
        "raw[0].values[1]: want a number",
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": "Push It"}, "name: want lower-case"),
        ({"date": "22.11.2026"}, "date: want YYYY-MM-DD"),
        ({"commit": "main"}, "commit: want a short hash"),
        ({"method": " "}, "method: is empty"),
        ({"rows": []}, "rows: is empty"),
        ({"rows": {}}, "record.rows: want a list"),
        ({"machine": None}, "record.machine: want an object"),
    ],
)
def test_a_record_out_of_format_is_refused(
    data: dict[str, Any], change: dict[str, Any], fault: str
) -> None:
    assert len(found := faults(data | change)) == 1
    assert found[0].startswith(fault)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"better": "faster"}, "rows[0].better: want 'lower' or 'higher'"),
        ({"rounds": 0}, "rows[0].rounds: want 1 or more"),
        ({"rounds": 1.5}, "rows[0].rounds: want a whole number"),
        ({"value": 50}, "rows[0].value: is not between min and max"),
        ({"value": float("nan")}, "rows[0].value: want a number"),
        ({"goal": None}, "rows[0].goal: want a number"),
    ],
)
def test_a_row_out_of_format_is_refused(
    data: dict[str, Any], change: dict[str, Any], fault: str
) -> None:
    data["rows"][0] |= change
    assert faults(data) == (fault,)


def test_two_rows_for_the_same_figure_are_refused(data: dict[str, Any]) -> None:
    data["rows"] *= 2
    assert faults(data)[0].startswith("rows[1]: the same work, subject and metric")


@pytest.mark.parametrize("data", [None, [], "push", 7])
def test_what_is_no_object_is_refused(data: object) -> None:
    assert faults(data) == ("record: want an object",)


def test_a_record_out_of_format_is_not_written() -> None:
    with pytest.raises(RecordError, match="rows: is empty"):
        encode(replace(RECORD, rows=()))
