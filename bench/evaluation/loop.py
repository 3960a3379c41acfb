"""Timed loops: calibrated as timeit's, over CPU time of all the process's threads."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable

from bench.evaluation.subject import Call

SECONDS = 0.2
"""A loop takes at least so long."""


def seconds_per_run(run: Callable[[], object]) -> float:
    """CPU seconds of one run, from as many as fill `SECONDS`; the first one is not counted."""
    run()
    repetitions = 1
    while (spent := _spent(run, repetitions)) < SECONDS:
        # Straight to what should suffice with a fifth to spare, but at most a hundredfold.
        factor = min(1.2 * SECONDS / max(spent, 1e-9), 100)
        repetitions = int(repetitions * factor) + 1
    return spent / repetitions


def seconds_per_call(calls: list[Call]) -> float:
    """CPU seconds of one call, over all of them in turn."""

    def run() -> None:
        for function, arguments in calls:
            function(*arguments)

    return seconds_per_run(run) / len(calls)


def bytes_held(load: Callable[[], object]) -> int:
    """Bytes of Python's memory that what is loaded keeps; it was loaded once before."""
    gc.collect()
    tracemalloc.start()
    try:
        loaded = load()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del loaded
    return held


def _spent(run: Callable[[], object], repetitions: int) -> float:
    gc.collect()
    begin = time.process_time()
    for _ in range(repetitions):
        run()
    return time.process_time() - begin
