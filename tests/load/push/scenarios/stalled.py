"""Readers that stop reading, among others that do not."""

from __future__ import annotations

from tests.load.push import measures
from tests.load.push.generator import Opening
from tests.load.push.processes import resident_bytes, watched_peak
from tests.load.push.run import Run, open_all, push_all
from tests.load.push.sizes import FLAG_BYTES, STALLED_CHANGES
from tests.load.push.workload import flags_of

_GROUP = "others"
_STALLED = "stalled"
_WINDOW = 1_024
"""Bytes that a stalled reader's server may send after it was current."""


async def scenario(run: Run) -> None:
    """All rounds: the same changes without and with stalled readers."""
    size, installation = run.size, run.installation
    work = measures.stalled(size)
    (place,) = await installation.new_places(1, flags_of(1, FLAG_BYTES))
    target, keys = installation.mesh.evaluation, (place.server_key,)
    others = Opening(target=target, streams=size.half - size.stalled, keys=keys)
    silent = Opening(target=target, streams=size.stalled, keys=keys, stalled=True, window=_WINDOW)
    for _ in run.turns("stalled"):
        async with installation.running_evaluation() as pid, run.generating() as generator:

            async def p99(changes: int) -> float:
                pushed = await push_all(
                    generator,
                    _GROUP,
                    pid=pid,
                    push=lambda: installation.toggle(place),
                    changes=changes,
                )
                return pushed.report.delays.p99

            await open_all(generator, _GROUP, others)
            without = await p99(size.changes)
            await open_all(generator, _STALLED, silent)
            before = resident_bytes(pid)
            async with watched_peak(pid) as peak:
                beside = await p99(STALLED_CHANGES)
            ended = await generator.report(_STALLED)
            left = await generator.report(_GROUP)
        run.note(work, measures.STALLED_RATIO, beside / without)
        run.note(work, measures.NOT_CURRENT, left.failed)
        run.note(work, measures.RSS_GROWTH, (peak.resident - before) / 1e6)
        run.note(work, measures.STALLED_ENDED, ended.failed)
