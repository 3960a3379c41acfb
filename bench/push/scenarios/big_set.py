"""A large environment: everything to many clients, then only what changed."""

from __future__ import annotations

from base64 import b64encode

from bench.push import measures
from bench.push.commits import NS_PER_MS
from bench.push.generator import Change, Generator, Opening, Report
from bench.push.processes import cpu_seconds, resident_bytes, watched_peak
from bench.push.run import Run, open_all
from bench.push.sizes import BIG_FLAG_BYTES
from bench.push.workload import flags_of

_TRIES = 10


async def scenario(run: Run) -> None:
    """All rounds."""
    size, installation = run.size, run.installation
    (place,) = await installation.new_places(1, flags_of(size.big_flags, BIG_FLAG_BYTES))
    target, keys = installation.mesh.evaluation, (place.server_key,)
    for _ in run.scheduler("big-set"):
        before = await installation.toggle(place)
        change = await installation.toggle(place)
        async with installation.running_evaluation() as pid, run.generating() as generator:
            await open_all(generator, "first", Opening(target=target, streams=1, keys=keys))
            everyone = Opening(
                target=target, streams=size.big_clients, keys=keys, at_once=0, tries=_TRIES
            )
            await _full(run, generator, pid, everyone)
            await _resume(run, generator, everyone, before, change)


async def _full(run: Run, generator: Generator, pid: int, everyone: Opening) -> None:
    work = measures.big_set(run.size)
    used, before = cpu_seconds(pid), resident_bytes(pid)
    async with watched_peak(pid) as peak:
        report = await generator.open("full", everyone)
    run.note(work, measures.SERVER_CPU, cpu_seconds(pid) - used)
    run.note(work, measures.RSS_GROWTH, (peak.resident - before) / 1e6)
    _note_opening(run, work, report)
    await generator.close("full")


async def _resume(
    run: Run, generator: Generator, everyone: Opening, before: Change, after: Change
) -> None:
    """Everyone holds all but the last change."""
    work = measures.resume(run.size)
    token = await run.installation.token(everyone.keys[0])
    token.revision = before.revision
    token.ClearField("digest")
    holding = Opening(
        target=everyone.target,
        streams=everyone.streams,
        keys=everyone.keys,
        tokens=(b64encode(token.SerializeToString()).decode(),),
        at_once=0,
        tries=_TRIES,
    )
    report = await generator.open("resume", holding)
    late = await generator.wait("resume", [after], seconds=1)
    run.note(work, measures.NOT_CURRENT, late)
    run.note(work, measures.RESUME_BYTES, report.counts.bytes / report.streams)
    _note_opening(run, work, report)


def _note_opening(run: Run, work: measures.Work, report: Report) -> None:
    run.note(work, measures.OPENING, report.opening.max / NS_PER_MS / 1_000)
    run.note(work, measures.FAILED, report.streams - report.current + report.failed)
    run.note(work, measures.REFUSED, report.refused)
