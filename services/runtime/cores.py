"""How many processor cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/cpu.max")
"""``<microseconds> <period>``, or ``max <period>`` without a limit (cgroup v2)."""


def usable_cores(cgroup_limit: Path = CGROUP_LIMIT) -> int:
    """The cores that the scheduler gives us, at most what a container is limited to."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = affinity or 1
    try:
        quota, period = cgroup_limit.read_text().split()
        return min(cores, max(1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # not a container, or one without a limit
        return cores
