"""The push benchmark's own arithmetic: what it says of what the generator reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.push import building, measures, profile
from bench.push.__main__ import SCENARIOS, folder_of, parse
from bench.push.children import ChildError, running
from bench.push.generator import Arrival, Change, Counts, Report, Spread
from bench.push.processes import (
    SPARE_FILES,
    TooFewFiles,
    allow_files,
    cpu_seconds,
    family,
    resident_bytes,
)
from bench.push.run import Pushed
from bench.push.scenarios.fan_out import figures
from bench.push.sizes import FULL, QUICK
from bench.push.workload import flag_of, patch_frame
from bench.record import RECORDS
from featmesh.sync.v1 import sync_pb2

MS = 1_000_000
NOTHING = Spread(0, 0, 0, 0, 0)
CHILD = """
import time
while time.process_time() < 0.1:  # the kernel counts ticks of 10 ms, and small use not at all
    pass
print(flush=True)
input()
"""
PARENT = f"""
import subprocess, sys
with subprocess.Popen(
    [sys.executable, "-c", {CHILD!r}], stdin=sys.stdin, stdout=subprocess.PIPE
) as child:
    child.stdout.readline()
    print(child.pid, flush=True)
"""


@pytest.fixture
def parent() -> Iterator[tuple[int, int]]:
    """A process and its child, by their numbers."""
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.stdin.write("\n")
        process.stdin.close()


def pushed(*arrivals: tuple[int, int, int]) -> Pushed:
    """Of (commit, first receipt, last receipt), in ms; each written 1 ms before."""
    changes = [Change(commit, commit * MS) for commit, _, _ in arrivals]
    came = [
        Arrival(commit, 2, 0, first * MS, last * MS, (first - 1) * MS, (last - 1) * MS)
        for commit, first, last in arrivals
    ]
    counts = Counts(0, 0, 0, 0, 0, 0, 0, 0)
    report = Report(2, 2, 0, 0, {}, counts, NOTHING, came, NOTHING, NOTHING)
    return Pushed(changes, report, server_cpu=40.0, generator_cpu=9.0)


def test_a_turn_is_the_median_of_its_changes() -> None:
    found = figures(pushed((100, 103, 110), (200, 201, 202), (300, 310, 360)))
    assert found[measures.LAST_RECEIPT] == 10
    assert found[measures.SPREAD] == 7
    assert found[measures.WRITES] == 7
    assert found[measures.WRITE_TO_RECEIPT] == 1
    assert found[measures.CPU_PER_PUSH] == 40


def test_goals_are_ours_and_those_of_the_full_size() -> None:
    work = measures.fan_out(FULL)
    assert work.measure(measures.CPU_RATIO, FULL).goal == 2.0
    assert work.measure(measures.CPU_RATIO, FULL, ours=False).goal is None
    assert measures.fan_out(QUICK).measure(measures.CPU_RATIO, QUICK).goal is None


def test_the_generators_report_is_read_as_it_is_written() -> None:
    spread = {"count": 1, "min": 1, "p50": 2, "p99": 3, "max": 4}
    counts = dict.fromkeys(Counts.__dataclass_fields__, 5)
    arrival = {"revision": 7, "streams": 2, "missing": 1, "first": 8, "last": 9}
    arrival |= {"first_write": 5, "last_write": 6}
    report = Report.read(
        json.loads(
            json.dumps(
                {
                    "streams": 2,
                    "current": 2,
                    "failed": 0,
                    "refused": 0,
                    "statuses": {"OK": 1},
                    "counts": counts,
                    "opening": spread,
                    "delays": spread,
                    "writes": spread | {"p50": 1},
                    "arrivals": [arrival],
                }
            )
        )
    )
    assert report.opening == Spread(1, 1, 2, 3, 4)
    assert report.writes == Spread(1, 1, 1, 3, 4)
    assert report.arrivals == (Arrival(7, 2, 1, 8, 9, 5, 6),)
    assert report.counts.heartbeats == 5


def test_a_services_workers_count_as_the_service(parent: tuple[int, int]) -> None:
    first, worker = parent
    assert family(first) == [first, worker]
    assert cpu_seconds(first) >= cpu_seconds(worker) > 0
    assert resident_bytes(first) > resident_bytes(worker) > 0


def test_a_process_that_has_gone_uses_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert cpu_seconds(process.pid) == 0
    assert resident_bytes(process.pid) == 0


def test_too_few_files_are_said_to_be_with_the_limit_and_what_to_do() -> None:
    with pytest.raises(TooFewFiles, match=rf"need {10**12 + SPARE_FILES} open files.*ulimit"):
        allow_files(10**12)


@pytest.mark.parametrize("size", [1_000, 2_000])
def test_a_flag_is_about_as_large_as_asked(size: int) -> None:
    assert abs(flag_of("flag-0", size).flag.ByteSize() - size) < 30


def test_references_send_a_patch_of_one_flag() -> None:
    frame = sync_pb2.SyncDefinitionsResponse.FromString(patch_frame(7, 1_000))
    change = frame.change_set
    assert (change.kind, change.revision, change.part, change.last) == (2, 7, 0, True)
    assert [each.flag.key for each in change.items] == ["flag-0"]


async def test_a_program_that_ends_is_said_to_have_ended() -> None:
    async with running("the program", [sys.executable, "-c", ""]) as child:
        with pytest.raises(ChildError, match="the program has ended"):
            await child.ask({"do": "cpu"})


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(building.CannotBuild, match=r"go is not on the path; .* needs Go 1\.26"):
        building.generator()


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [([], RECORDS), (["--quick"], building.FOLDER), (["--only", "burst"], building.FOLDER)],
)
def test_a_part_of_the_benchmark_replaces_no_record(arguments: list[str], folder: Path) -> None:
    assert folder_of(parse(arguments)) == folder


def test_an_unknown_scenario_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse(["--only", "fan-out,flood"])
    said = capsys.readouterr().err
    assert "no scenario flood" in said
    assert all(name in said for name in SCENARIOS)


def test_a_profile_counts_each_file_to_one_part() -> None:
    report = """
# Overhead  Shared Object
    40.00%  [kernel.kallsyms]
    25.00%  cygrpc.cpython-311-x86_64-linux-gnu.so
    20.50%  libpython3.11.so.1.0
     4.50%  loop.cpython-311-x86_64-linux-gnu.so
     6.00%  libc.so.6
     1.00%  [vdso]
     3.00%  _cbson.cpython-311-x86_64-linux-gnu.so
"""
    kernel, core, python, library = (name for name, _ in profile.PARTS)
    assert profile.shares(report) == {
        kernel: 41.0,
        core: 25.0,
        python: 25.0,
        library: 6.0,
        profile.OTHER: 3.0,
    }


def test_a_profile_without_perf_says_so_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="perf is not on the path"):
        profile.main()
