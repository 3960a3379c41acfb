"""Tries one fault and checks that nothing broke: what a run repeats."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.chaos.check import check_reader, check_store, lost_updates, staleness
from tests.chaos.faults.fault import Fault
from tests.chaos.readers import SdkReader, Subject
from tests.chaos.stage import Stage
from tests.chaos.store import read_stored
from tests.chaos.streams import StreamReader
from tests.chaos.truth import Truth
from tests.chaos.waiting import NeverCame, until

_BEFORE_AND_AFTER: Final = 1.0
"""Seconds of ordinary life around each fault."""

_FAULT_SECONDS: Final = 300.0
"""A fault that has not ended by then never will."""


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
    stage.writer.resume()
    await stage.hold(_BEFORE_AND_AFTER)
    broken: list[str] = []
    try:
        async with asyncio.timeout(_FAULT_SECONDS):
            await fault.inject(stage)
        stage.note("the fault has ended")
        await stage.hold(_BEFORE_AND_AFTER)
        await stage.writer.pause()
        await _settle(stage)
        broken += await stage.tracker.check(stage.cluster)
    except (NeverCame, TimeoutError, AssertionError) as error:
        broken.append(str(error) or "the fault did not end in time")
        await stage.writer.pause()
    verdict = await _judge(stage)
    return Outcome(
        fault=fault.name,
        written=stage.written - written,
        lost=verdict.lost,
        staleness=verdict.staleness,
        seconds=time.monotonic() - began,
        broken=(*broken, *verdict.broken),
    )


async def _settle(stage: Stage) -> None:
    """The mesh is whole, every change is announced, every reader holds the last one."""
    await stage.cluster.whole()
    await stage.cluster.traffic_ends()
    for subject in stage.subjects:
        truth = subject.truth(stage.site_of(subject).truth)
        await until(_holding(subject, truth), f"{subject.reader.name} holds the last change")
    stage.note("every reader holds the last change")


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


async def _judge(stage: Stage) -> _Verdict:
    stored = {site.truth.name: await read_stored(stage.cluster, site.truth) for site in stage.sites}
    broken: list[str] = []
    lost, longest = 0, 0.0
    for site in stage.sites:
        environment = site.truth
        broken += check_store(environment, stored[environment.name])
        own = [each for each in stage.subjects if stage.site_of(each) is site]
        truths = {each.reader.name: each.truth(environment) for each in own}
        for subject in own:
            broken += check_reader(truths[subject.reader.name], subject.reader)
            await asyncio.sleep(0)  # the proxies of the store must not wait for long
        readers = [each.reader for each in own]
        lost += lost_updates(environment.commits, stored[environment.name], truths, readers)
        longest = max(
            [longest, *_stalenesses(own, environment.committed_at, environment.first_revision)]
        )
    if not broken:
        _forget(stage)
    return _Verdict(lost, longest, tuple(broken))


def _stalenesses(
    subjects: list[Subject], committed_at: Mapping[int, float], since: int
) -> list[float]:
    """Of those to whom every revision is sent."""
    return [
        staleness(committed_at, each.reader.seen, since)
        for each in subjects
        if isinstance(each, SdkReader | StreamReader)
    ]


def _forget(stage: Stage) -> None:
    for subject in stage.subjects:
        subject.reader.forget()
    for site in stage.sites:
        site.truth.forget()
