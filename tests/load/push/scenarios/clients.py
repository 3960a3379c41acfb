"""Client SDKs: results of different users, beside as many server streams."""

from __future__ import annotations

from tests.load.model import OWN
from tests.load.push import measures
from tests.load.push.generator import Generator, Opening
from tests.load.push.processes import cpu_seconds, resident_bytes, settle
from tests.load.push.run import Pushed, Run, open_all, push_all
from tests.load.push.scenarios.fan_out import figures
from tests.load.push.sizes import FLAG_BYTES
from tests.load.push.workload import flags_of
from tests.support.places import Place

_GROUP = "all"
_SERVER_STREAMS = "featmesh's server streams"


async def scenario(run: Run) -> None:
    """All rounds; those of server streams only tell what client streams cost beyond them."""
    installation = run.installation
    (place,) = await installation.new_places(1, flags_of(1, FLAG_BYTES))
    cpu: dict[str, float] = {}
    for turn in run.turns("clients", (OWN, _SERVER_STREAMS)):
        async with installation.running_evaluation() as pid, run.generating() as generator:
            pushed = await _turn(run, generator, place, pid, users=turn.subject == OWN)
        cpu[turn.subject] = pushed.server_cpu
        if len(cpu) == len((OWN, _SERVER_STREAMS)):
            beyond = cpu[OWN] - cpu[_SERVER_STREAMS]
            run.note(measures.clients(run.size), measures.BEYOND_SERVER, beyond)
            cpu = {}


async def _turn(run: Run, generator: Generator, place: Place, pid: int, *, users: bool) -> Pushed:
    target = run.installation.mesh.evaluation
    keys = (place.client_key if users else place.server_key,)
    name = "user-" if users else ""
    await open_all(generator, "first", Opening(target=target, streams=1, keys=keys, users=name))
    before = resident_bytes(pid)
    everyone = Opening(target=target, streams=run.size.streams, keys=keys, users=name)
    await open_all(generator, _GROUP, everyone)
    await settle(pid)
    grown = resident_bytes(pid) - before
    pushed = await push_all(
        generator,
        _GROUP,
        pid=pid,
        push=lambda: run.installation.toggle(place),
        timed=run.installation.commits.timed,
        changes=run.size.changes,
    )
    if users:
        _note(run, pushed, grown)
        await _same_results(run, generator, place, pid)
    return pushed


def _note(run: Run, pushed: Pushed, grown: int) -> None:
    work = measures.clients(run.size)
    for metric, value in figures(pushed).items():
        run.note(work, metric, value)
    run.note(work, measures.MEMORY, grown / run.size.streams / 1_000)


async def _same_results(run: Run, generator: Generator, place: Place, pid: int) -> None:
    """Changes that no client can see."""
    work, changes = measures.clients(run.size), run.size.changes
    await generator.mark(_GROUP)
    used = cpu_seconds(pid)
    for number in range(changes):
        await run.installation.describe(place, f"description {number}")
        await settle(pid)
    used = cpu_seconds(pid) - used
    counts = (await generator.report(_GROUP)).counts
    run.note(work, measures.SAME_RESULT_FRAMES, counts.frames - counts.heartbeats)
    run.note(work, measures.SAME_RESULT_CPU, used / changes / run.size.streams * 1e6)
