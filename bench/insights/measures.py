"""What is measured, one function for each work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import product
from typing import Final

from grpc import aio

from bench.insights.batches import EVENTS
from bench.insights.sender import Sender, Sent
from bench.insights.stage import Stage
from bench.propagation import streams, toggle_again_and_again
from bench.record import Benchmark, Measure, own_cpu_seconds, percentile
from tests.support.places import Place

PARTS: Final = ("evaluation", "ingest", "mongod", "rabbitmq")
OURS: Final = "featmesh"
WARM_UP: Final = 200
LOOK_SECONDS: Final = 5.0

GOAL: Final = 30_000
"""Rows a second that are to be stored."""

LATENCY_ROUNDS: Final = 2_000
"""Batches beside pushes; their 99th percentile needs so many."""

PUSHES: Final = 400
"""Idle, and as many beside events; for the 99th percentile of theirs."""

PACES: Final = {"1 stream": 0.0, "1 stream, 20 a second": 20.0}
"""Pushes a second; 0 is one after the other, which takes more than half of two cores by itself."""

SETTLE_SECONDS: Final = 3.0
"""Until the load is as it stays: queues and micro-batches have their size."""


def add(bench: Benchmark, work: str, metric: str, value: float, measure: Measure) -> None:
    """One figure of ours."""
    bench.add(
        Measure(
            work=work,
            metric=metric,
            unit=measure.unit,
            better=measure.better,
            goal=measure.goal,
        ),
        OURS,
        value,
    )


def figure(unit: str, goal: float | None = None, *, higher: bool = False) -> Measure:
    """A unit, its goal and its direction."""
    return Measure(work="", metric="", unit=unit, goal=goal, better="higher" if higher else "lower")


async def throughput(stage: Stage, place: Place, bench: Benchmark, events: int) -> float:
    """Everything at once, as fast as it goes; rows stored per second."""
    sender = Sender(stage.mesh.evaluation, place.server_key)
    await sender.send(WARM_UP)
    await stage.until_stored_async(place.environment_id, WARM_UP * EVENTS)
    before = stage.stored(place.environment_id)
    cpu = {part: stage.cpu_seconds(part) for part in PARTS}
    generator, began = own_cpu_seconds(), time.perf_counter()
    sent = await sender.send(events // EVENTS)
    generator = own_cpu_seconds() - generator
    await stage.until_stored_async(place.environment_id, before + sent.events)
    stored = sent.events / (time.perf_counter() - began)
    work = f"{events:,} event rows in batches of {EVENTS}, all processes on this machine"
    rate = figure("rows/s", GOAL, higher=True)
    add(bench, work, "accepted", sent.events / sent.seconds, rate)
    add(bench, work, "accepted, stored and rolled up", stored, rate)
    for part in PARTS:
        used = (stage.cpu_seconds(part) - cpu[part]) / sent.events * 1e6
        add(bench, work, f"{part} CPU per 1,000 events", used, figure("ms"))
    spent = generator / sent.events * 1e6
    add(bench, work, "generator CPU per 1,000 events", spent, figure("ms"))
    return stored


async def beside_events(
    stage: Stage, place: Place, bench: Benchmark, load: str, rows_per_second: float
) -> None:
    """`Track` and pushes while events come at this rate."""
    idle = await _pushes(stage, place)
    work = f"{load} ({EVENTS} events a batch)"
    async with _loaded(stage, place, rows_per_second) as sent:
        await asyncio.sleep(SETTLE_SECONDS)
        loaded = await _pushes(stage, place)
        while len(sent.latencies) < LATENCY_ROUNDS:  # noqa: ASYNC110 - the load has its pace
            await asyncio.sleep(0.1)
    add(bench, work, "Track p50", percentile(sent.latencies, 50), figure("ms"))
    add(bench, work, "Track p99", percentile(sent.latencies, 99), figure("ms", 100))
    for pace, percent in product(PACES, (50, 99)):
        before, beside = percentile(idle[pace], percent), percentile(loaded[pace], percent)
        name = f"push p{percent}, request to receipt, {pace}"
        add(bench, work, f"{name}: idle", before, figure("ms"))
        add(bench, work, f"{name}: loaded", beside, figure("ms"))
        add(bench, work, f"{name}: loaded / idle", beside / before, figure("x", 2))


async def backlog(stage: Stage, place: Place, bench: Benchmark, events: int) -> None:
    """`ingest` comes back to a queue that has filled meanwhile."""
    before = stage.stored(place.environment_id)
    with _away(stage, "ingest"):
        sent = await Sender(stage.mesh.evaluation, place.server_key).send(events // EVENTS)
    began = time.perf_counter()
    await stage.until_stored_async(place.environment_id, before + sent.events)
    seconds = time.perf_counter() - began
    work = f"a backlog of {events:,} events"
    add(bench, work, "drained", sent.events / seconds, figure("rows/s", higher=True))
    lost = before + sent.events - stage.stored(place.environment_id)
    add(bench, work, "lost", lost, figure("rows", 0))


async def memory(stage: Stage, place: Place, bench: Benchmark, seconds: float, rate: float) -> None:
    """`ingest` at half load for long."""
    sizes: list[float] = []
    async with _loaded(stage, place, rate / 2):
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            await asyncio.sleep(min(LOOK_SECONDS, seconds / 10))
            sizes.append(stage.resident_mib("ingest"))
    third = max(1, len(sizes) // 3)
    early, late = sum(sizes[:third]) / third, sum(sizes[-third:]) / third
    work = f"half of that load for {seconds / 60:g} minutes"
    add(bench, work, "ingest memory, first third", early, figure("MiB"))
    add(bench, work, "ingest memory, last third", late, figure("MiB"))
    add(bench, work, "ingest memory, last / first third", late / early, figure("x", 1.1))


async def _pushes(stage: Stage, place: Place) -> dict[str, list[float]]:
    """Milliseconds of each, by their pace."""
    found: dict[str, list[float]] = {}
    async with (
        aio.insecure_channel(stage.mesh.api) as channel,
        streams(stage.mesh, place, 1) as receipts,
    ):
        for pace, per_second in PACES.items():
            outcome = await toggle_again_and_again(
                stage.mesh, channel, place, receipts, PUSHES, per_second=per_second
            )
            found[pace] = outcome.from_request
    return found


@asynccontextmanager
async def _loaded(stage: Stage, place: Place, rows_per_second: float) -> AsyncIterator[Sent]:
    """Events come at this rate meanwhile; afterwards all of them are stored."""
    over, sent, before = asyncio.Event(), Sent(), stage.stored(place.environment_id)
    sender, pace = Sender(stage.mesh.evaluation, place.server_key), rows_per_second / EVENTS
    load = asyncio.create_task(sender.send(1, per_second=pace, into=sent, until=over))
    try:
        yield sent
    finally:
        over.set()
        await load
    await stage.until_stored_async(place.environment_id, before + sent.events)


@contextmanager
def _away(stage: Stage, service: str) -> Iterator[None]:
    (process,) = (each for each in stage.mesh.processes if each.name == service)
    process.stop()
    try:
        yield
    finally:
        process.start()
        process.wait_until_serving()
