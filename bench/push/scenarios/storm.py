"""All SDKs connect at once and load everything."""

from __future__ import annotations

from bench.push import measures
from bench.push.commits import NS_PER_MS
from bench.push.generator import Opening
from bench.push.processes import cpu_seconds, resident_bytes, watched_peak
from bench.push.run import Run, open_all
from bench.push.sizes import BIG_FLAG_BYTES, STORM_FLAGS
from bench.push.workload import flags_of

_TRIES = 10
"""Of a stream that is refused: an SDK would go on for ever."""


async def scenario(run: Run) -> None:
    """All rounds."""
    size, installation = run.size, run.installation
    work = measures.storm(size)
    (place,) = await installation.new_places(1, flags_of(STORM_FLAGS, BIG_FLAG_BYTES))
    target, keys = installation.mesh.evaluation, (place.server_key,)
    everyone = Opening(target=target, streams=size.half, keys=keys, at_once=0, tries=_TRIES)
    for _ in run.scheduler("storm"):
        async with installation.running_evaluation() as pid, run.generating() as generator:
            await open_all(generator, "first", Opening(target=target, streams=1, keys=keys))
            used, before = cpu_seconds(pid), resident_bytes(pid)
            async with watched_peak(pid) as peak:
                report = await generator.open("storm", everyone)
            used = cpu_seconds(pid) - used
        run.note(work, measures.OPENING, report.opening.max / NS_PER_MS / 1_000)
        run.note(work, measures.FAILED, report.streams - report.current + report.failed)
        run.note(work, measures.REFUSED, report.refused)
        run.note(work, measures.SERVER_CPU, used)
        run.note(work, measures.RSS_GROWTH, (peak.resident - before) / 1e6)
