"""How long other calls take while streams are pushed to."""

from __future__ import annotations

import asyncio

from bench.push import measures
from bench.push.commits import NS_PER_MS
from bench.push.generator import Generator, Opening, ProbeReport, Probing
from bench.push.processes import settle
from bench.push.run import Run, open_all, push_all
from bench.push.sizes import FLAG_BYTES, PROBES_A_SECOND
from bench.push.workload import flags_of

_GROUP = "all"
_QUIET_SECONDS = 2.0
_AT_MOST = 120.0


async def scenario(run: Run) -> None:
    """All rounds."""
    size, installation = run.size, run.installation
    (place,) = await installation.new_places(1, flags_of(1, FLAG_BYTES))
    target = installation.mesh.evaluation
    probing = Probing(
        target=target, key=place.server_key, flag="flag-0", rate=PROBES_A_SECOND, at_most=_AT_MOST
    )
    opening = Opening(target=target, streams=size.half, keys=(place.server_key,))
    for _ in run.scheduler("unary"):
        async with (
            installation.running_evaluation() as pid,
            run.generating() as generator,
            run.probing() as prober,  # apart: who reads thousands of streams is late itself
        ):
            await open_all(generator, _GROUP, opening)
            await settle(pid)
            quiet = await _quiet(prober, probing)
            await prober.probe(probing)
            await push_all(
                generator,
                _GROUP,
                pid=pid,
                push=lambda: installation.toggle(place),
                timed=installation.commits.timed,
                changes=size.changes,
            )
            pushing = await prober.probed()
        _note(run, quiet, pushing)


async def _quiet(prober: Generator, probing: Probing) -> ProbeReport:
    await prober.probe(probing)
    await asyncio.sleep(_QUIET_SECONDS)
    return await prober.probed()


def _note(run: Run, quiet: ProbeReport, pushing: ProbeReport) -> None:
    work = measures.unary(run.size)
    run.note(work, measures.WORST_UNARY, pushing.latency.max / NS_PER_MS)
    run.note(work, measures.UNARY_P99, pushing.latency.p99 / NS_PER_MS)
    run.note(work, measures.WORST_UNARY_BEFORE, quiet.latency.max / NS_PER_MS)
    run.note(work, measures.FAILED_CALLS, pushing.failed + quiet.failed)
    lateness = pushing.lateness.max / NS_PER_MS
    run.bench.add(measures.generator_lateness(run.size), measures.GENERATOR, lateness)
