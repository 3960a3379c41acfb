"""The wall clock, as what depends on time is given it."""

from __future__ import annotations

import time
from collections.abc import Callable

ClockMs = Callable[[], int]
"""Milliseconds since the epoch."""


def now_ms() -> int:
    """Returns the system's time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
