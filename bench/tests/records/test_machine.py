"""CPU clocks, percentiles and facts of the machine and the code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.machine import commit
from bench.record import own_cpu_seconds, percentile, process_cpu_seconds

# Two threads burn CPU, then the process says so and waits to be let go.
BURN = """
import sys, threading
def burn(): sum(i * i for i in range(500_000))
threads = [threading.Thread(target=burn) for _ in range(2)]
[t.start() for t in threads]; [t.join() for t in threads]
print(open("/proc/self/stat").read(), flush=True)
sys.stdin.read()
"""


def test_the_cpu_time_of_another_process_covers_its_threads_as_proc_counts_them() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        stat = process.stdout.readline()
        measured = process_cpu_seconds(process.pid)
        process.communicate("")
    user, system = stat.rpartition(")")[2].split()[11:13]
    ticks = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    assert measured > 0.02
    assert measured == pytest.approx(ticks, abs=0.03)  # /proc counts in ticks of 10 ms


def test_a_process_that_has_ended_has_no_cpu_time() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    for pid in (process.pid, 0, -1):
        with pytest.raises(ProcessLookupError):
            process_cpu_seconds(pid)


def test_the_own_clock_is_the_clock_of_the_own_process() -> None:
    before = own_cpu_seconds()
    between = process_cpu_seconds(os.getpid())
    assert before <= between <= own_cpu_seconds()


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1), (50, 2.5), (100, 4), (99, 3.97), (100 / 3, 2)]
)
def test_percentiles_are_interpolated_between_ranks(percent: float, value: float) -> None:
    assert percentile([4, 1, 3, 2], percent) == pytest.approx(value)


def test_a_percentile_of_nothing_or_beyond_the_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)
    with pytest.raises(ValueError, match="0 to 100"):
        percentile([1], 101)


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def test_a_tree_that_differs_from_its_commit_is_dirty_but_for_records(tmp_path: Path) -> None:
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    clean = commit(tmp_path)
    (tmp_path / "docs" / "benchmarks").mkdir(parents=True)
    (tmp_path / "docs" / "benchmarks" / "push.json").write_text("{}")
    assert commit(tmp_path) == clean
    (tmp_path / "code.py").write_text("")
    assert commit(tmp_path) == f"{clean}+dirty"


def test_outside_a_repository_the_commit_is_unknown(tmp_path: Path) -> None:
    assert commit(tmp_path) == "unknown"
