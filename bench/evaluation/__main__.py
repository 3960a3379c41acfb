"""How long an evaluation takes, beside other SDKs: ``make bench-eval``.

Each SDK's turn is a process of its own that does all the works; turns are interleaved. Bounded:
`ROUNDS` turns of some seconds for each SDK. An interrupted run leaves nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Final

from bench.evaluation.measures import ENGINE_KEY, measure_of
from bench.evaluation.sink import event_sink
from bench.evaluation.subject import ENGINE, PEERS, SUBJECTS
from bench.machine import ROOT
from bench.record import Benchmark

ROUNDS: Final = 5
PATIENCE: Final = 120.0
"""Seconds that one turn may take."""

METHOD: Final = """
Every SDK evaluates the same boolean flags for the same 100 users through its public call (ours:
Client.boolean_value), one thread, users' objects made beforehand where the SDK lets one; the
answers are checked first (in rollouts, that both values are served, since each SDK has its own
hash). A figure is CPU time of the whole process, threads included, over a loop of at least 0.2 s;
the loop's own 30 ns or so are in all figures. Without events ours reads no clock, because no
operator needs it. Data comes from files or memory, never from a
network. With events: ours counts in its buffer and finds no server to send to; LaunchDarkly and
FeatBit run their event processors and send to a sink on loopback in another process, and what
their full queues drop costs them little; Unleash's native engine always counts, so it has no row
without events, and it sends nothing; GrowthBook (whose only events are a warehouse plugin's) and
flagd-core have no row with events. flagd-core is an evaluator without a client around it, and its
call also returns variant, reason and metadata. It has no segments, so that row is left out. Flags
are decoded and prepared from the form in which the SDK receives them (ours: protobuf; others:
JSON), each with three targets, a rule and a rollout; memory is what Python's allocator holds
then, which cannot be said for Unleash's native engine. Patterns of peers are measured on 20
bytes alone: their time doubles with every byte. Not measured: several threads, start-up,
first evaluations, networks.
"""


def turn(subject: str, sink: str) -> list[tuple[str, str, float]]:
    """All figures of one SDK, from a fresh process.

    Raises:
        SystemExit: It failed, or answered otherwise than it should.
    """
    command = [sys.executable, "-m", "bench.evaluation.child", subject, sink]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode:
        raise SystemExit(f"{subject} failed:\n{done.stderr[-2_000:]}")
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def note(bench: Benchmark, subject: str, figures: list[tuple[str, str, float]]) -> None:
    """One turn's figures; those of our engine alone go to a subject of their own."""
    for work, metric, value in figures:
        name = work.removeprefix(ENGINE_KEY)
        row_subject = subject if name == work else ENGINE
        bench.add(measure_of(name, metric, row_subject), row_subject, value)


def main() -> None:
    """Runs the benchmark and writes its record."""
    parser = argparse.ArgumentParser(prog="python -m bench.evaluation")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    packages = [*PEERS, "yggdrasil-engine", "google-re2", "protobuf"]
    bench = Benchmark("evaluation", method=METHOD, packages=packages)
    with event_sink() as sink:
        for each in bench.scheduler(SUBJECTS, rounds=rounds):
            note(bench, each.subject, turn(each.subject, sink))
    bench.finish()


if __name__ == "__main__":
    main()
