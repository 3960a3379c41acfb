"""What a reader sees of a record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.markdown import compare, number, render
from bench.model import Better
from bench.tests.records.examples import RECORD, ROW

PEER = replace(ROW, subject="reference: bare gRPC", goal=None)


def test_a_table_states_figures_goals_and_how_we_stand_to_each_peer() -> None:
    metric = "server CPU per push (lower is better)"
    lines = render(RECORD).splitlines()
    at = lines.index("## 10000 streams, one change")
    assert lines[at + 2 :] == [
        "| metric | subject | median | min … max | rounds | goal | featmesh is |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        f"| {metric} | featmesh | 41.2 us | 38 … 47.9 | 9 | ≤ 40: missed |  |",
        f"| {metric} | reference: bare gRPC | 30.9 us | 30 … 31 | 9 |  | 1.33x worse |",
    ]


def test_goal_and_comparison_have_no_column_when_there_are_none() -> None:
    text = render(replace(RECORD, rows=(replace(ROW, goal=None),)))
    assert "| metric | subject | median | min … max | rounds |\n" in text


def test_each_work_has_a_table_with_equal_metrics_together() -> None:
    latency = replace(ROW, metric="latency")
    rows = (ROW, latency, PEER, replace(latency, subject=PEER.subject), replace(ROW, work="idle"))
    text = render(replace(RECORD, rows=rows))
    assert text.count("\n## ") == 2
    metrics = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    assert [m.removeprefix("| ").split(" (")[0] for m in metrics[2:6]] == [
        "server CPU per push",
        "server CPU per push",
        "latency",
        "latency",
    ]


def test_the_head_says_where_and_how_it_was_measured() -> None:
    text = render(RECORD)
    assert RECORD.method in text
    assert "2 cores of AMD EPYC, 23.5 GiB, Linux 6.18.44; python 3.11.7, grpcio 1.85.1." in text
    assert "2026-11-22 at commit `abc1234`" in text


def test_a_bar_in_a_name_does_not_break_the_table() -> None:
    assert "a \\| b" in render(replace(RECORD, rows=(replace(ROW, subject="a | b"),)))


@pytest.mark.parametrize(
    ("own", "peer", "better", "verdict"),
    [
        (10, 21, "lower", "2.10x better"),
        (13, 10, "lower", "1.30x worse"),
        (21, 10, "higher", "2.10x better"),
        (10, 13, "higher", "1.30x worse"),
        (10, 10.01, "lower", "equal"),
        (0, 10, "lower", ""),
        (10, 0, "lower", ""),
    ],
)
def test_a_comparison_says_who_wins(own: float, peer: float, better: Better, verdict: str) -> None:
    ours = replace(ROW, value=own, better=better)
    assert compare(ours, replace(PEER, value=peer, better=better)) == verdict


def test_a_metric_that_we_did_not_measure_is_not_compared() -> None:
    assert compare(None, PEER) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (41.2, "41.2"),
        (1234567.8, "1234568"),
        (0.00001234567, "0.0000123457"),
        (40, "40"),
        (999.96, "1000"),
        (-2.5, "-2.5"),
        (100, "100"),
    ],
)
def test_numbers_are_short_and_have_no_exponent(value: float, text: str) -> None:
    assert number(value) == text
