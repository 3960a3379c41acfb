"""The recorder: rounds in, a table and a record out."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bench.benchmark import MAX_ROUNDS
from bench.record import Benchmark, Measure, RecordError, load

CPU = Measure(work="one change", metric="server CPU per push", unit="us", goal=40)
RATE = Measure(work="one change", metric="pushes", unit="1/s", better="higher")


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def bench(tmp_path: Path, printed: io.StringIO) -> Benchmark:
    console = Console(file=printed, width=160)
    return Benchmark(
        "push",
        method="One server\n on loopback.",
        packages=["protobuf"],
        tools={"go": "1.26.8"},
        folder=tmp_path,
        console=console,
    )


def test_the_figure_is_the_median_with_minimum_and_maximum(
    bench: Benchmark, tmp_path: Path
) -> None:
    for value in (47.9, 38.0, 41.2):
        bench.add(CPU, "featmesh", value)
    bench.add(RATE, "featmesh", 1200)
    record = bench.finish()
    cpu, rate = record.rows
    assert (cpu.value, cpu.min, cpu.max, cpu.rounds, cpu.goal) == (41.2, 38.0, 47.9, 3, 40)
    assert (rate.value, rate.rounds, rate.goal, rate.better) == (1200, 1, None, "higher")
    assert record.raw[0].values == (47.9, 38.0, 41.2)
    assert load(tmp_path / "push.json") == record


def test_the_record_says_where_it_was_made(bench: Benchmark) -> None:
    bench.add(CPU, "featmesh", 1)
    record = bench.finish()
    assert record.method == "One server on loopback."
    assert list(record.versions) == ["python", "grpcio", "protobuf", "go"]
    assert record.versions["go"] == "1.26.8"
    assert record.machine.cores >= 1
    assert record.machine.memory_gib > 0


def test_subjects_are_interleaved_and_every_other_round_runs_backwards(
    bench: Benchmark, printed: io.StringIO
) -> None:
    scheduler = [(t.number, t.subject) for t in bench.scheduler(["a", "b"], rounds=3)]
    assert scheduler == [(1, "a"), (1, "b"), (2, "b"), (2, "a"), (3, "a"), (3, "b")]
    assert "push: round 2 of 3: b" in printed.getvalue()


def test_a_benchmark_of_several_parts_says_which_one_it_is_at(
    bench: Benchmark, printed: io.StringIO
) -> None:
    for _ in bench.scheduler(["a"], rounds=1, what="burst"):
        assert "push, burst: round 1 of 1: a" in printed.getvalue()


def test_the_table_is_printed_and_the_files_are_named(
    bench: Benchmark, printed: io.StringIO
) -> None:
    bench.add(CPU, "featmesh", 50)
    bench.add(CPU, "reference: bare gRPC", 25)
    bench.finish()
    assert "2.00x worse" in printed.getvalue()
    assert "≤ 40: missed" in printed.getvalue()
    assert "push.json" in printed.getvalue()


def test_a_run_that_is_interrupted_writes_nothing(bench: Benchmark, tmp_path: Path) -> None:
    def run() -> None:
        for turn in bench.scheduler(["featmesh"], rounds=2):
            bench.add(CPU, turn.subject, 1)
            if turn.number == 2:
                raise KeyboardInterrupt
        bench.finish()

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not list(tmp_path.iterdir())


def test_a_benchmark_without_figures_is_no_record(bench: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="rows: is empty"):
        bench.finish()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_figure_is_refused(bench: Benchmark, value: float) -> None:
    with pytest.raises(ValueError, match="server CPU per push of featmesh is"):
        bench.add(CPU, "featmesh", value)


@pytest.mark.parametrize("rounds", [0, MAX_ROUNDS + 1])
def test_the_number_of_rounds_is_bounded(bench: Benchmark, rounds: int) -> None:
    with pytest.raises(ValueError, match="rounds must be"):
        next(bench.scheduler(["featmesh"], rounds=rounds))
