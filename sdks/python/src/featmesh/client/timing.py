"""The clock, the dice and the waiting, in one place so that a test can hold them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


def _wait(event: threading.Event, seconds: float) -> bool:
    return event.wait(seconds)


@dataclass(frozen=True, slots=True)
class Timing:
    """Where a client takes time and chance from.

    Attributes:
        monotonic: Seconds that only rise.
        wall_ns: Nanoseconds since the epoch.
        random: A number in [0, 1).
        wait: Waits for an event up to so many seconds; True when it is set.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall_ns: Callable[[], int] = time.time_ns
    random: Callable[[], float] = random.random
    wait: Callable[[threading.Event, float], bool] = _wait

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self.wall_ns() // 1_000_000
