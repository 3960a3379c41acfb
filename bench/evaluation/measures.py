"""The rows of the record: names, units and goals."""

from __future__ import annotations

from bench.evaluation.workload import BULK, PATTERN, WORKS
from bench.record import OWN, Measure

WITHOUT_EVENTS = "CPU per evaluation, without events"
WITH_EVENTS = "CPU per evaluation, with events"
DECODE = "CPU to decode and prepare all"
COMPILE = "CPU to compile all"
BYTES_PER_FLAG = "memory per flag"
PER_BYTE = "CPU per byte of the attribute"

ENGINE_KEY = "engine: "
"""Before the name of a work that our engine did without the client."""

COMPILE_GOAL = 150.0
_UNITS = {
    WITHOUT_EVENTS: "us",
    WITH_EVENTS: "us",
    DECODE: "ms",
    COMPILE: "ms",
    BYTES_PER_FLAG: "B",
    PER_BYTE: "ns",
}
_GOALS = {(work.name, WITHOUT_EVENTS): work.goal for work in WORKS}
_GOALS |= {(work.name, WITH_EVENTS): work.goal_with_events for work in WORKS}
_GOALS[f"{BULK:,} flags", COMPILE] = COMPILE_GOAL


def pattern_work(size: int) -> str:
    """The work of matching the regex bomb against a text of so many bytes."""
    return f"pattern {PATTERN} on {size:,} bytes"


def measure_of(work: str, metric: str, subject: str) -> Measure:
    """The measure of a figure; the goals are ours alone."""
    goal = _GOALS.get((work, metric)) if subject == OWN else None
    return Measure(work=work, metric=metric, unit=_UNITS[metric], goal=goal)
