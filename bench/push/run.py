"""What every scenario shares: the recorder, the sizes, the installation, and pushing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.model import OWN
from bench.push.generator import Change, Generator, NotCurrent, Opening, Report
from bench.push.generator import running_generator as _running_generator
from bench.push.installation import Installation
from bench.push.measures import Work
from bench.push.processes import cpu_seconds
from bench.push.sizes import Size
from bench.record import Benchmark, Turn

RECEIPT_SECONDS: Final = 60.0
"""A stream that has a change so late has lost it."""

PAUSE: Final = 0.2
"""Seconds between two changes that are each waited for."""

Push = Callable[[], Awaitable[Change]]
Timed = Callable[[Sequence[Change]], Awaitable[Sequence[Change]]]
"""Says when changes began; see `Commits`."""


@dataclass(frozen=True)
class Run:
    """One run of the benchmark."""

    bench: Benchmark
    size: Size
    rounds: int
    installation: Installation
    program: Path
    """The generator's."""

    def scheduler(self, name: str, subjects: Sequence[str] = (OWN,)) -> Iterator[Turn]:
        """Each subject once per round; says which scenario it is."""
        yield from self.bench.scheduler(subjects, rounds=self.rounds, what=name)

    def note(self, work: Work, metric: str, value: float, *, subject: str = OWN) -> None:
        """One round's figure."""
        measure = work.measure(metric, self.size, ours=subject == OWN)
        self.bench.add(measure, subject, value)

    @asynccontextmanager
    async def generating(self) -> AsyncIterator[Generator]:
        """A load generator while entered; its streams are closed at the end.

        In reality streams are read on other machines. Here each message would wake a reader
        that takes the core from the server which is about to write to the next one.
        """
        async with _running_generator(self.program, is_polite=True) as generator:
            yield generator
            await generator.close_all()

    @asynccontextmanager
    async def probing(self) -> AsyncIterator[Generator]:
        """One for unary calls alone, which wait for nothing but the server."""
        async with _running_generator(self.program, is_polite=False) as prober:
            yield prober


@dataclass(frozen=True)
class Pushed:
    """What pushes, one after the other, did and cost; CPU in microseconds for each stream."""

    changes: Sequence[Change]
    report: Report
    server_cpu: float
    generator_cpu: float


async def open_all(generator: Generator, group: str, opening: Opening) -> Report:
    """Opens streams; all must become current. Raises `NotCurrent`."""
    report = await generator.open(group, opening)
    if report.current != opening.streams or report.failed:
        raise NotCurrent(
            f"{report.current} of {opening.streams} streams are current: {dict(report.statuses)}"
        )
    return report


async def push_all(
    generator: Generator, group: str, *, pid: int, push: Push, changes: int, timed: Timed
) -> Pushed:
    """So many changes, each waited for on every stream. Raises `NotCurrent`."""
    await push_one(generator, group, push)  # what the first one alone costs is not measured
    await generator.mark(group)
    server, own = cpu_seconds(pid), await generator.cpu_seconds()
    done = [await push_one(generator, group, push) for _ in range(changes)]
    server, own = cpu_seconds(pid) - server, await generator.cpu_seconds() - own
    done = list(await timed(done))
    report = await generator.report(group, done)
    sent = changes * report.streams
    return Pushed(done, report, server / sent * 1e6, own / sent * 1e6)


async def cost_of_push(generator: Generator, group: str, pid: int, push: Push) -> float:
    """Seconds of the server's CPU for one change, with the pause after it."""
    used = cpu_seconds(pid)
    await push_one(generator, group, push)
    return cpu_seconds(pid) - used


async def push_one(generator: Generator, group: str, push: Push) -> Change:
    """Waits until every stream has it, and a little longer. Raises `NotCurrent`."""
    change = await push()
    late = await generator.wait(group, [change], seconds=RECEIPT_SECONDS)
    if late:
        report = await generator.report(group)
        raise NotCurrent(f"{late} streams missed a change: {dict(report.statuses)}")
    await asyncio.sleep(PAUSE)
    return change
