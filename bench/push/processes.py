"""What a service uses, all its processes together: CPU and memory (Linux)."""

from __future__ import annotations

import asyncio
import math
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.machine import process_cpu_seconds

SPARE_FILES: Final = 500
"""Files of a process beside its streams."""

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_SECONDS: Final = 0.05
_QUIET_SECONDS: Final = 0.25
_QUIET_SHARE: Final = 0.1
_SETTLING_SECONDS: Final = 15.0


class TooFewFiles(Exception):
    """The machine lets a process open too few files; the text says what to do."""


def family(pid: int) -> list[int]:
    """The process and all that descend from it; a service's workers are its children."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found.extend(map(int, (task / "children").read_text().split()))
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a service's processes so far; of those that live."""
    total = 0.0
    for each in family(pid):
        with suppress(ProcessLookupError):
            total += process_cpu_seconds(each)
    return total


def resident_bytes(pid: int) -> int:
    """Resident memory of a service's processes; pages that they share count for each."""
    total = 0
    for each in family(pid):
        with suppress(OSError):
            total += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * _PAGE
    return total


@dataclass
class Peak:
    """The most that was seen, in bytes."""

    resident: int


@asynccontextmanager
async def watched_peak(pid: int) -> AsyncIterator[Peak]:
    """Looks at the service's memory twenty times a second while entered."""
    peak = Peak(resident_bytes(pid))

    async def look_for_ever() -> None:
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            peak.resident = max(peak.resident, resident_bytes(pid))

    looking = asyncio.create_task(look_for_ever())
    try:
        yield peak
    finally:
        looking.cancel()
        peak.resident = max(peak.resident, resident_bytes(pid))


async def settle(pid: int) -> None:
    """Returns when the service has little to do, or will not have: bounded."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_SETTLING_SECONDS):
            used = math.inf
            while used > _QUIET_SECONDS * _QUIET_SHARE:
                before = cpu_seconds(pid)
                await asyncio.sleep(_QUIET_SECONDS)
                used = cpu_seconds(pid) - before


def allow_files(streams: int) -> None:
    """Lets this process and its children open a file for each stream.

    Raises:
        TooFewFiles: the hard limit is lower.
    """
    needed = streams + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TooFewFiles(
            f"{streams} streams need {needed} open files in a process, but the hard limit is "
            f"{hard}: raise it (ulimit -Hn {needed}, or LimitNOFILE), or use --quick"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
