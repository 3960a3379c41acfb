"""Client SDKs: results of different users; and what they cost beyond as many server streams."""

from __future__ import annotations

from statistics import median

from bench.push import measures
from bench.push.generator import Generator, Opening
from bench.push.processes import cpu_seconds, resident_bytes, settle
from bench.push.run import Run, cost_of_push, open_all, push_all
from bench.push.scenarios.fan_out import figures
from bench.push.sizes import FLAG_BYTES
from bench.push.workload import flags_of
from tests.support.places import Place

_GROUP = "all"


async def scenario(run: Run) -> None:
    """All rounds."""
    installation = run.installation
    place, other = await installation.new_places(2, flags_of(1, FLAG_BYTES))
    for _ in run.scheduler("clients"):
        async with (
            installation.running_evaluation() as pid,
            run.generating() as clients,
            run.generating() as servers,
        ):
            await _open_clients(run, clients, place, pid)
            await _push(run, clients, place, pid)
            await _same_results(run, clients, place, pid)
            await _beside_servers(run, (clients, place), (servers, other), pid)


async def _open_clients(run: Run, generator: Generator, place: Place, pid: int) -> None:
    await open_all(generator, "first", _opening(run, place, streams=1, users=True))
    before = resident_bytes(pid)
    await open_all(generator, _GROUP, _opening(run, place, streams=run.size.streams, users=True))
    await settle(pid)
    grown = resident_bytes(pid) - before
    run.note(measures.clients(run.size), measures.MEMORY, grown / run.size.streams / 1_000)


def _opening(run: Run, place: Place, *, streams: int, users: bool) -> Opening:
    key, name = (place.client_key, "user-") if users else (place.server_key, "")
    target = run.installation.mesh.evaluation
    return Opening(target=target, streams=streams, keys=(key,), users=name)


async def _push(run: Run, generator: Generator, place: Place, pid: int) -> None:
    pushed = await push_all(
        generator,
        _GROUP,
        pid=pid,
        push=lambda: run.installation.toggle(place),
        timed=run.installation.commits.timed,
        changes=run.size.changes,
    )
    for metric, value in figures(pushed).items():
        run.note(measures.clients(run.size), metric, value)


async def _beside_servers(
    run: Run, clients: tuple[Generator, Place], servers: tuple[Generator, Place], pid: int
) -> None:
    """In turn, a change each: what the machine does meanwhile is the same for both."""
    size, installation = run.size, run.installation
    generator, place = servers
    opening = _opening(run, place, streams=size.streams, users=False)
    await open_all(generator, _GROUP, opening)
    await settle(pid)

    async def cost(side: tuple[Generator, Place]) -> float:
        generator, place = side
        used = await cost_of_push(generator, _GROUP, pid, lambda: installation.toggle(place))
        return used / size.streams

    await cost(servers)  # what the first one alone costs is not measured
    beyond: list[float] = []
    for number in range(size.pairs):
        if number % 2:
            of_clients, of_servers = await cost(clients), await cost(servers)
        else:
            of_servers, of_clients = await cost(servers), await cost(clients)
        beyond.append(of_clients - of_servers)
    run.note(measures.clients(size), measures.BEYOND_SERVER, median(beyond) * 1e6)


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
