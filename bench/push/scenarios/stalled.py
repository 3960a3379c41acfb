"""Readers that stop reading, among others that do not."""

from __future__ import annotations

from dataclasses import replace

from bench.push import measures
from bench.push.generator import Generator, Opening, Report
from bench.push.processes import resident_bytes, watched_peak
from bench.push.run import RECEIPT_SECONDS, Run, open_all, push_all
from bench.push.sizes import FLAG_BYTES, STALLED_CHANGES
from bench.push.workload import flags_of
from tests.support.places import Place

_OTHERS = "others"
_STALLED = "stalled"
_WINDOW = 512
"""Bytes that a stalled reader's server may send once it was current: less than a change."""

_SLOW_READER = "status 14"
"""UNAVAILABLE, which is how a stream ends whose reader took nothing."""


async def scenario(run: Run) -> None:
    """All rounds."""
    (place,) = await run.installation.new_places(1, flags_of(1, FLAG_BYTES))
    for _ in run.scheduler("stalled"):
        async with (
            run.installation.running_evaluation() as pid,
            run.generating() as generator,
        ):
            await _turn(run, generator, pid, place)


async def _turn(run: Run, generator: Generator, pid: int, place: Place) -> None:
    """The same changes without and beside stalled readers, which then read again."""
    work, count = measures.stalled(run.size), run.size.stalled
    target, keys = run.installation.mesh.evaluation, (place.server_key,)
    others = Opening(target=target, streams=run.size.half - count, keys=keys)
    await open_all(generator, _OTHERS, others)
    without = await _p99(run, generator, pid, place)
    before = resident_bytes(pid)
    async with watched_peak(pid) as peak:
        silent = replace(others, streams=count, stalled=True, window=_WINDOW)
        await open_all(generator, _STALLED, silent)
        beside = await _p99(run, generator, pid, place)
    failed = (await generator.report(_OTHERS)).failed
    await generator.release(_STALLED)
    told = await generator.ended(_STALLED, seconds=RECEIPT_SECONDS)
    run.note(work, measures.STALLED_RATIO, beside / without)
    run.note(work, measures.NOT_CURRENT, failed)
    run.note(work, measures.RSS_GROWTH, (peak.resident - before) / 1e6)
    run.note(work, measures.STALLED_ENDED, _slow(told))


async def _p99(run: Run, generator: Generator, pid: int, place: Place) -> float:
    pushed = await push_all(
        generator,
        _OTHERS,
        pid=pid,
        push=lambda: run.installation.toggle(place),
        timed=run.installation.commits.timed,
        changes=STALLED_CHANGES,
    )
    return pushed.report.delays.p99


def _slow(told: Report) -> int:
    return sum(count for status, count in told.statuses.items() if status.startswith(_SLOW_READER))
