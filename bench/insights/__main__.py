"""Events from `Track` to roll-ups: ``make bench-insights``.

Starts api, evaluation and ingest as processes on a private mongod and RabbitMQ node. Bounded by
its arguments; an interrupted run leaves no record. ``--reconcile N`` compares what was sent with
what is stored while everything is killed in turn, and writes no record.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Final

from rich.console import Console

from bench.insights.measures import GOAL, backlog, beside_events, memory, throughput
from bench.insights.reconcile import Outcome, reconcile
from bench.insights.reports import fill, measure_reports
from bench.insights.stage import Stage, running_stage
from bench.record import Benchmark

METHOD: Final = """
Batches of 100 events (95 evaluations, 5 metric events; 50 flags, 2 variations, 100,000 users) are
made beforehand and sent by one grpc.aio process over 4 connections, 32 calls at once. Stored means
that the transaction with rows, roll-ups and batch ids is committed by a majority (of one node). A
row is one event, that is one document. All processes share the machine: mongod (with a cache of 4
GB), RabbitMQ, three services (evaluation with one worker for each core) and the generator, whose
CPU stands beside theirs. Half of that load is half of the median rate that was stored, which is
heavier in a record that stores more; half of the goal is the same in all. Either is sent at even
distances. Pushes follow each other without a pause, which takes more than half of the machine by
itself and ever less of it the slower they are; then they come 20 a second, which is the same load
idle and beside events. Reports read roll-ups of evaluations that were written through the store,
spread over all hours of a year, so that no bucket is empty. Not measured: TLS, networks, replicated
mongod and RabbitMQ, users' upserts.
"""

SECONDS_PER_MINUTE: Final = 60


async def measure(stage: Stage, bench: Benchmark, wanted: argparse.Namespace) -> None:
    """All works; what is loaded comes after what sets the load."""
    place = await stage.place("bench")
    rates = [
        await throughput(stage, place, bench, wanted.events)
        for _ in bench.scheduler(["throughput"], rounds=wanted.rounds)
    ]
    rate = sorted(rates)[len(rates) // 2]
    loads = {f"{GOAL / 2:,.0f} rows/s, half of the goal": GOAL / 2, "half of that load": rate / 2}
    for turn in bench.scheduler(list(loads), rounds=wanted.rounds):
        await beside_events(stage, place, bench, turn.subject, loads[turn.subject])
    for _ in bench.scheduler(["backlog"], rounds=1):
        await backlog(stage, place, bench, wanted.backlog)
    for _ in bench.scheduler(["memory"], rounds=1):
        await memory(stage, place, bench, wanted.minutes * SECONDS_PER_MINUTE, rate)
    reported = await stage.place("reports")
    for _ in bench.scheduler(["reports"], rounds=1):
        await fill(stage, reported, wanted.stored)
        await asyncio.to_thread(measure_reports, stage, reported, bench, wanted.stored)


def run_reconciliation(events: int, rounds: int) -> int:
    """0 when the books agree."""
    console = Console()
    with running_stage() as stage:
        outcome = asyncio.run(reconcile(stage, events, rounds, say=console.print))
    print_outcome(console, outcome)
    return 0 if outcome.holds else 1


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Both books, side by side."""
    for name, expected in outcome.expected.items():
        console.print(f"{name}: {expected:,} acknowledged, {outcome.stored[name]:,} stored")
    console.print(f"attempts that had another answer: {dict(outcome.sent.retries)}")
    console.print(f"acknowledged and missing: {len(outcome.missing)} batches")
    console.print(f"stored and never acknowledged: {len(outcome.unknown)} batches")
    console.print(
        f"SDKs: {outcome.sdk_tracked:,} tracked; {outcome.sdk_stored_or_dropped:,} stored or "
        f"dropped, {outcome.sdk_dropped:,} of them dropped"
    )
    console.print("the books agree" if outcome.holds else "THE BOOKS DO NOT AGREE")


def main() -> int:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.insights", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backlog", type=int, default=1_000_000, help="events that wait")
    parser.add_argument("--minutes", type=float, default=10.0, help="of watching memory")
    parser.add_argument("--stored", type=int, default=10_000_000, help="evaluations in reports")
    parser.add_argument("--reconcile", type=int, metavar="EVENTS", help="this instead")
    parser.add_argument("--fault-rounds", type=int, default=3, help="how often each fault comes")
    wanted = parser.parse_args()
    if wanted.reconcile:
        return run_reconciliation(wanted.reconcile, wanted.fault_rounds)
    packages = ["grpcio", "motor", "pymongo", "aio-pika", "uvloop", "datasketches", "protobuf"]
    bench = Benchmark("insights", method=METHOD, packages=packages)
    with running_stage() as stage:
        asyncio.run(measure(stage, bench, wanted))
    bench.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
