"""One SDK's turn, in a process of its own: ``python -m bench.evaluation.child SDK SINK``.

Prints [work, metric, value] in JSON, one a line, or fails if the SDK answers otherwise than it
should.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from bench.evaluation.loop import bytes_held, seconds_per_call, seconds_per_run
from bench.evaluation.measures import (
    BYTES_PER_FLAG,
    COMPILE,
    DECODE,
    ENGINE_KEY,
    PER_BYTE,
    WITH_EVENTS,
    WITHOUT_EVENTS,
    pattern_work,
)
from bench.evaluation.subject import Call, Calls, Subject
from bench.evaluation.workload import (
    BULK,
    PATTERN_FLAG,
    PATTERN_SIZES,
    PEERS_PATTERN_SIZE,
    USERS,
    WORKS,
    bulk,
    flags,
    pattern_user,
    wrong_answers,
)
from bench.model import OWN

CLASSES = {
    OWN: "own.FeatMesh",
    "launchdarkly-server-sdk": "launchdarkly.LaunchDarkly",
    "fb-python-sdk": "featbit.FeatBit",
    "growthbook": "growthbook.GrowthBook",
    "openfeature-flagd-core": "flagd.Flagd",
    "UnleashClient": "unleash.Unleash",
}
Figure = tuple[str, str, float]


def measure(name: str, sink: str, folder: Path) -> Iterator[Figure]:
    """Every figure of one SDK."""
    module, _, attribute = CLASSES[name].partition(".")
    subject = cast(
        "Subject", getattr(importlib.import_module(f"{__package__}.subjects.{module}"), attribute)()
    )
    if subject.has_switchable_events or not subject.events:
        yield from _evaluations(subject, folder, sink=None)
    if subject.has_patterns:
        sizes = PATTERN_SIZES if name == OWN else (PEERS_PATTERN_SIZE,)
        yield from _patterns(subject, folder, sizes)
    yield from _loading(subject)
    if name == OWN:
        yield from _engine()
    if subject.events:  # at the end, since what sends them goes on for a while
        yield from _evaluations(subject, folder, sink=sink)


def _evaluations(subject: Subject, folder: Path, *, sink: str | None) -> Iterator[Figure]:
    metric = WITHOUT_EVENTS if sink is None else WITH_EVENTS
    with subject.open(flags(), folder, sink=sink) as calls:
        for work in WORKS:
            if work.flag.segment and not subject.has_segments:
                continue
            found = calls(work.flag.key, USERS)
            answers = [subject.value(function(*arguments)) for function, arguments in found]
            _demand(list(wrong_answers(work.flag, USERS, answers)))
            yield work.name, metric, seconds_per_call(found) * 1e6


def _patterns(subject: Subject, folder: Path, sizes: tuple[int, ...]) -> Iterator[Figure]:
    with subject.open(flags(), folder, sink=None) as calls:
        for size in sizes:
            yield pattern_work(size), PER_BYTE, _seconds_per_byte(subject, calls, size) * 1e9


def _seconds_per_byte(subject: Subject, calls: Calls, size: int) -> float:
    users = [pattern_user(size)]
    found = calls(PATTERN_FLAG.key, users)
    answers = [subject.value(function(*arguments)) for function, arguments in found]
    _demand(list(wrong_answers(PATTERN_FLAG, users, answers)))
    return seconds_per_call(found) / size


def _loading(subject: Subject) -> Iterator[Figure]:
    load = subject.loader(bulk())
    work = f"{BULK:,} flags"
    yield work, DECODE, seconds_per_run(load) * 1e3
    if not subject.is_native:
        empty = bytes_held(subject.loader([]))  # the segment, and what holds it all
        yield work, BYTES_PER_FLAG, (bytes_held(load) - empty) / BULK


def _engine() -> Iterator[Figure]:
    """Our engine alone, and its compilation alone."""
    from bench.evaluation.subjects.own import context, engine_flag, snapshot
    from featmesh.engine import Snapshot, evaluate

    held = snapshot(flags())
    for work in WORKS:
        calls: list[Call] = [
            (evaluate, (held, work.flag.key, context(user), 1_800_000_000_000)) for user in USERS
        ]
        yield f"{ENGINE_KEY}{work.name}", WITHOUT_EVENTS, seconds_per_call(calls) * 1e6
    decoded = [engine_flag(each) for each in bulk()]
    seconds = seconds_per_run(lambda: Snapshot.build(1, decoded, ()))
    yield f"{BULK:,} flags", COMPILE, seconds * 1e3


def _demand(faults: list[str]) -> None:
    if faults:
        raise SystemExit("\n".join(faults[:10]))


def main() -> None:
    """Measures the SDK that is named."""
    logging.getLogger().addHandler(logging.NullHandler())  # at its level, to nowhere
    name, sink = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for figure in measure(name, sink, Path(folder)):
            sys.stdout.write(json.dumps(figure) + "\n")


if __name__ == "__main__":
    main()
