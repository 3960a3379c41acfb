"""Many changes within a second: streams may skip what is no longer current."""

from __future__ import annotations

import asyncio
import time

from bench.push import measures
from bench.push.commits import NS_PER_MS
from bench.push.generator import Change, Opening
from bench.push.installation import Installation
from bench.push.processes import cpu_seconds, settle
from bench.push.run import RECEIPT_SECONDS, Run, open_all
from bench.push.sizes import BURST_SECONDS, FLAG_BYTES
from bench.push.workload import flags_of
from tests.support.places import Place

_GROUP = "all"


async def scenario(run: Run) -> None:
    """All rounds."""
    size, installation = run.size, run.installation
    work = measures.burst(size)
    (place,) = await installation.new_places(1, flags_of(size.burst, FLAG_BYTES))
    opening = Opening(
        target=installation.mesh.evaluation, streams=size.half, keys=(place.server_key,)
    )
    for _ in run.scheduler("burst"):
        async with installation.running_evaluation() as pid, run.generating() as generator:
            await open_all(generator, _GROUP, opening)
            await settle(pid)
            await generator.mark(_GROUP)
            used, began = cpu_seconds(pid), time.monotonic()
            changes = await change_at_rate(installation, place, size.burst)
            sending = time.monotonic() - began
            late = await generator.wait(_GROUP, changes, seconds=RECEIPT_SECONDS)
            used = cpu_seconds(pid) - used
            changes = await installation.commits.timed(changes)
            report = await generator.report(_GROUP, changes)
        run.note(work, measures.NOT_CURRENT, late)
        run.note(work, measures.FRAMES, report.counts.frames)
        run.note(work, measures.STALENESS_P99, report.delays.p99 / NS_PER_MS)
        run.note(work, measures.SENDING, sending)
        run.note(work, measures.SERVER_CPU, used)


async def change_at_rate(installation: Installation, place: Place, count: int) -> list[Change]:
    """Each flag once, evenly over `BURST_SECONDS`, whether or not the ones before are done."""
    began = time.monotonic()

    async def one(number: int) -> Change:
        due = began + number * BURST_SECONDS / count
        await asyncio.sleep(due - time.monotonic())
        return await installation.toggle(place, f"flag-{number}")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in range(count)]
    return [each.result() for each in tasks]
