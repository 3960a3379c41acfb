"""Tries one fault and checks that nothing broke: what a run repeats."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from tests.chaos.check import Stored, check_reader, check_store, lost_updates, staleness
from tests.chaos.faults.fault import Fault
from tests.chaos.readers import Subject
from tests.chaos.stage import Stage
from tests.chaos.store import read_stored
from tests.chaos.truth import Truth
from tests.chaos.waiting import NeverCame, until

_BEFORE_AND_AFTER: Final = 1.0
"""Seconds of ordinary life around each fault."""

_FAULT_SECONDS: Final = 300.0
"""A fault that has not ended by then never will."""

_TRACEBACK: Final = "Traceback (most recent call last)"

Truths = dict[str, Truth]
"""By the reader's name."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one trial showed; ``broken`` has a sentence for each broken invariant."""

    fault: str
    written: int
    lost: int
    staleness: float
    seconds: float
    broken: tuple[str, ...]


async def try_fault(stage: Stage, fault: Fault) -> Outcome:
    """Injects it while everybody works, lets the mesh recover, and judges."""
    began, written = time.monotonic(), stage.written
    stage.note(f"trial of: {fault.name}")
    tracebacks = stage.cluster.logged(_TRACEBACK)
    broken = await _survive(stage, fault)
    await stage.writer.pause()
    truths = await asyncio.to_thread(_truths, stage)
    try:
        await _settle(stage, truths)
    except NeverCame as never:
        broken.append(str(never))
    verdict = await _judge(stage, truths)
    if stage.cluster.logged(_TRACEBACK) > tracebacks:
        broken.append("a service met an error that it did not expect: see the logs (--folder)")
    return Outcome(
        fault=fault.name,
        written=stage.written - written,
        lost=verdict.lost,
        staleness=verdict.staleness,
        seconds=time.monotonic() - began,
        broken=(*broken, *verdict.broken),
    )


async def _survive(stage: Stage, fault: Fault) -> list[str]:
    """What broke while it lasted."""
    stage.writer.resume()
    await stage.hold(_BEFORE_AND_AFTER)
    try:
        async with asyncio.timeout(_FAULT_SECONDS):
            await fault.inject(stage)
    except (NeverCame, AssertionError) as error:
        return [str(error)]
    except TimeoutError:
        return [f"the fault has not ended after {_FAULT_SECONDS:g} s"]
    stage.note("the fault has ended")
    await stage.hold(_BEFORE_AND_AFTER)
    return []


def _truths(stage: Stage) -> Truths:
    """For each reader what it must hold; readers of one kind share it."""
    made: dict[object, Truth] = {}
    truths: Truths = {}
    for subject in stage.subjects:
        environment = stage.site_of(subject).truth
        kind = (environment.name, subject.sees)
        if kind not in made:
            made[kind] = subject.truth(environment)
        truths[subject.reader.name] = made[kind]
    return truths


async def _settle(stage: Stage, truths: Truths) -> None:
    """The mesh is whole, every change is announced, every reader holds the last one."""
    await stage.cluster.whole()
    await stage.cluster.traffic_ends()
    for subject in stage.subjects:
        holding = _holding(subject, truths[subject.reader.name])
        await until(holding, f"{subject.reader.name} holds the last change")
    stage.note("every reader holds the last change")
    await stage.tracker.stored(stage.cluster)


def _holding(subject: Subject, truth: Truth) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        subject.sample()
        return subject.holds(truth)

    return look


@dataclass(frozen=True, slots=True)
class _Verdict:
    lost: int
    staleness: float
    broken: tuple[str, ...]


async def _judge(stage: Stage, truths: Truths) -> _Verdict:
    twice = await stage.tracker.stored_twice(stage.cluster)
    stored = {site.truth.name: await read_stored(stage.cluster, site.truth) for site in stage.sites}
    # In a thread: the proxies of the store must not wait for it.
    verdict = await asyncio.to_thread(_verdict, stage, stored, truths)
    if not verdict.broken:
        stage.forget()
    return replace(verdict, broken=(*twice, *verdict.broken))


def _verdict(stage: Stage, stored: Mapping[str, Stored], truths: Truths) -> _Verdict:
    broken: list[str] = []
    lost, longest = 0, 0.0
    for site in stage.sites:
        environment, kept = site.truth, stored[site.truth.name]
        broken += check_store(environment, kept)
        readers = [each.reader for each in stage.subjects if stage.site_of(each) is site]
        for reader in readers:
            truth = truths[reader.name]
            broken += check_reader(truth, reader)
            if truth.every_revision_is_sent:
                late = staleness(environment.committed_at, reader.seen, environment.first_revision)
                longest = max(longest, late)
        lost += lost_updates(environment.commits, kept, truths, readers)
    return _Verdict(lost, longest, tuple(broken))
