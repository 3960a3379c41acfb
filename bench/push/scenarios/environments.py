"""Streams over many environments; each change reaches those of one."""

from __future__ import annotations

import asyncio

from bench.push import measures
from bench.push.commits import NS_PER_MS
from bench.push.generator import Change, NotCurrent, Opening
from bench.push.processes import settle
from bench.push.run import RECEIPT_SECONDS, Run, open_all
from bench.push.sizes import FLAG_BYTES
from bench.push.workload import flags_of

_GROUP = "all"
_PAUSE = 0.05
"""Seconds from one change's answer to the next: they are measured one at a time.

The generator is asked afterwards: at the time it would take a core from what is measured.
"""


async def scenario(run: Run) -> None:
    """All rounds; one set of environments serves them."""
    size, installation = run.size, run.installation
    work = measures.environments(size)
    places = await installation.new_places(size.environments, flags_of(1, FLAG_BYTES))
    opening = Opening(
        target=installation.mesh.evaluation,
        streams=size.streams,
        keys=[each.server_key for each in places],
    )
    for _ in run.scheduler("environments"):
        async with installation.running_evaluation() as pid, run.generating() as generator:
            await open_all(generator, _GROUP, opening)
            await settle(pid)
            changes: list[Change] = []
            for key, place in enumerate(places):
                change = await installation.toggle(place, key=key)
                await asyncio.sleep(_PAUSE)
                if await generator.wait(_GROUP, [change], seconds=RECEIPT_SECONDS):
                    raise NotCurrent(f"environment {key}: streams missed its change")
                changes.append(change)
            changes = await installation.commits.timed(changes)
            report = await generator.report(_GROUP, changes)
        run.note(work, measures.RECEIPT_P50, report.delays.p50 / NS_PER_MS)
        run.note(work, measures.RECEIPT_P99, report.delays.p99 / NS_PER_MS)
        run.note(work, measures.WRITE_P50, report.writes.p50 / NS_PER_MS)
        run.note(work, measures.WRITE_P99, report.writes.p99 / NS_PER_MS)
