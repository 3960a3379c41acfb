"""Which faults are tried, in which order, and until when."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from tests.chaos.faults import Fault


def each_once(faults: Sequence[Fault]) -> Iterator[Fault]:
    """In the order of the table."""
    yield from faults


def for_minutes(faults: Sequence[Fault], seed: str, minutes: float) -> Iterator[Fault]:
    """At random, but each as often as the others, until the time is over."""
    dice = random.Random(f"{seed}/plan")
    end = time.monotonic() + minutes * 60
    while True:
        for fault in dice.sample(faults, len(faults)):
            if time.monotonic() > end:
                return
            yield fault
