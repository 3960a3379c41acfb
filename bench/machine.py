"""Facts about the machine, the code and the CPU time that a benchmark quotes (Linux)."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from bench.model import Machine

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "docs" / "benchmarks"

_GIT_SECONDS = 30
_KIB_PER_GIB = 1024 * 1024
_CPUCLOCK_SCHED = 2  # linux/posix-timers.h


def process_cpu_seconds(pid: int) -> float:
    """CPU time (user and system, all threads) that process ``pid`` has used, in seconds.

    It reads the process's own CLOCK_PROCESS_CPUTIME_ID, made from the pid as
    clock_getcpuclockid(3) does: nanoseconds, where /proc/<pid>/stat counts in 10 ms ticks.

    Raises:
        ProcessLookupError: there is no such process.
    """
    if pid <= 0:
        raise ProcessLookupError(f"no process {pid}")
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError as error:
        raise ProcessLookupError(f"no process {pid}") from error


def own_cpu_seconds() -> float:
    """CPU time that this process, the load generator, has used, in seconds."""
    return time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that ``percent`` of ``values`` do not exceed, interpolated between ranks.

    As numpy's default ("linear"): 0 is the minimum, 50 the median, 100 the maximum.

    Raises:
        ValueError: no values, or a percent outside 0 to 100.
    """
    if not values:
        raise ValueError("a percentile of no values")
    if not 0 <= percent <= 100:
        raise ValueError(f"percent must be 0 to 100, not {percent}")
    ordered = sorted(values)
    rank = (len(ordered) - 1) * percent / 100
    low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
    return low + (high - low) * (rank % 1)


def machine_facts() -> Machine:
    """The machine that this process runs on; ``cores`` are those that it may use."""
    memory_kib = int(_proc_field("/proc/meminfo", "MemTotal").split()[0])
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(memory_kib / _KIB_PER_GIB, 1),
        cpu=_proc_field("/proc/cpuinfo", "model name") or platform.machine(),
        kernel=platform.release(),
    )


def versions(packages: Iterable[str] = ()) -> dict[str, str]:
    """Python's, grpcio's and the given packages' versions.

    Raises:
        importlib.metadata.PackageNotFoundError: one of them is not installed.
    """
    names = dict.fromkeys(["grpcio", *packages])
    return {"python": platform.python_version()} | {n: metadata.version(n) for n in names}


def commit(root: Path = ROOT) -> str:
    """The short commit of ``root``, with "+dirty" if the tree differs; "unknown" without git.

    Records themselves do not count: the second benchmark of a commit is no dirtier than the first.
    """
    head = _git(root, "rev-parse", "--short", "HEAD")
    if head is None:
        return "unknown"
    changed = _git(root, "status", "--porcelain", "--", ".", ":(exclude)docs/benchmarks")
    return f"{head}+dirty" if changed else head


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _proc_field(path: str, name: str) -> str:
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
