"""One environment, all streams, one change; and the same streams idle. With the references."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from bench.model import OWN
from bench.push import measures
from bench.push.commits import NS_PER_MS
from bench.push.generator import Change, Generator, Opening
from bench.push.notices import Notices, watched_notices
from bench.push.processes import cpu_seconds, resident_bytes, settle
from bench.push.run import Pushed, Run, open_all, push_all, push_one
from bench.push.snapshots import Snapshots
from bench.push.subjects import GRPC_GO, Opener, Server, openers

_GROUP = "all"


@dataclass(frozen=True)
class Figures:
    """One turn of one subject; metric → value. ``generator_cpu`` is us for each push."""

    pushing: Mapping[str, float]
    idling: Mapping[str, float]
    generator_cpu: float


async def scenario(run: Run) -> None:
    """All rounds."""
    servers = openers(run.installation)
    async with watched_notices(run.installation.amqp) as notices:
        done: dict[str, Figures] = {}
        for turn in run.scheduler("fan-out", list(servers)):
            done[turn.subject] = await _turn(run, servers[turn.subject], turn.subject, notices)
            if len(done) == len(servers):
                _note(run, done)
                done = {}


async def _turn(run: Run, opener: Opener, subject: str, notices: Notices) -> Figures:
    async with opener() as server, run.generating() as generator:
        idling = await _idle(run, server, generator, looks=subject == OWN)
        times = _Times(server)
        before = await _snapshots(run, generator, server) if subject == OWN else None
        pushed = await push_all(
            generator,
            _GROUP,
            pid=server.pid,
            push=times.push,
            changes=run.size.changes,
            timed=server.timed,
        )
        pushing = figures(pushed)
        if before is not None:
            built = (await Snapshots.read(run.installation.metrics)).since(before)
            pushing |= await _phases(times.asked, pushed, notices, built)
    return Figures(pushing, idling, pushed.generator_cpu)


async def _idle(run: Run, server: Server, generator: Generator, *, looks: bool) -> dict[str, float]:
    """Opens the streams: their memory, and for ours the CPU that they take idle."""
    one = Opening(target=server.address, streams=1, keys=server.keys)
    await open_all(generator, "first", one)  # what one stream alone needs is not theirs
    before = resident_bytes(server.pid)
    everyone = Opening(target=server.address, streams=run.size.streams, keys=server.keys)
    await open_all(generator, _GROUP, everyone)
    await settle(server.pid)
    grown = resident_bytes(server.pid) - before
    idling = {measures.MEMORY: grown / run.size.streams / 1_000}
    if looks:
        await asyncio.sleep(run.size.idle_after)
        idling[measures.IDLE_CPU] = await _share_of_core(server.pid, run.size.idle_seconds)
    return idling


async def _share_of_core(pid: int, seconds: float) -> float:
    """In percent."""
    used, began = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(seconds)
    return (cpu_seconds(pid) - used) / (time.monotonic() - began) * 100


class _Times:
    """Pushes, and remembers when each was asked for."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.asked: dict[int, int] = {}

    async def push(self) -> Change:
        asked = time.time_ns()
        change = await self._server.push()
        self.asked[change.revision] = asked
        return change


def figures(pushed: Pushed) -> dict[str, float]:
    """Medians over a turn's changes, in ms, and CPU in us."""
    arrivals = pushed.report.arrivals
    last = [each.last - change.at for each, change in zip(arrivals, pushed.changes, strict=True)]
    return {
        measures.CPU_PER_PUSH: pushed.server_cpu,
        measures.LAST_RECEIPT: _median_ms(last),
        measures.SPREAD: _median_ms([each.last - each.first for each in arrivals]),
        measures.WRITES: _median_ms([each.last_write - each.first_write for each in arrivals]),
        measures.WRITE_TO_RECEIPT: _median_ms([each.last - each.last_write for each in arrivals]),
    }


async def _snapshots(run: Run, generator: Generator, server: Server) -> Snapshots:
    """What was built before the pushes that are measured; the first one of all is slower."""
    await push_one(generator, _GROUP, server.push)
    return await Snapshots.read(run.installation.metrics)


async def _phases(
    asked: Mapping[int, int], pushed: Pushed, notices: Notices, built: float
) -> dict[str, float]:
    """``built`` is from a revision to its snapshot, in ns on average."""
    noticed = {each.revision: await notices.time_of(each.revision) for each in pushed.changes}
    writes = {each.revision: each.first_write for each in pushed.report.arrivals}
    return {
        measures.REQUEST_TO_COMMIT: _median_ms(
            [each.at - asked[each.revision] for each in pushed.changes]
        ),
        measures.COMMIT_TO_NOTICE: _median_ms(
            [noticed[each.revision] - each.at for each in pushed.changes]
        ),
        measures.NOTICE_TO_SNAPSHOT: (built - _mean_age(noticed)) / NS_PER_MS,
        measures.SNAPSHOT_TO_WRITE: (_mean_age(writes) - built) / NS_PER_MS,
    }


def _mean_age(times: Mapping[int, int]) -> float:
    """From revisions, which are times in ms, to these times in ns."""
    return fmean(at - revision * NS_PER_MS for revision, at in times.items())


def _median_ms(times: Sequence[int]) -> float:
    return median(times) / NS_PER_MS


def _note(run: Run, done: Mapping[str, Figures]) -> None:
    """One round of all subjects, and ours as a multiple of grpc-go's."""
    pushing, idle = measures.fan_out(run.size), measures.idle(run.size)
    for subject, each in done.items():
        for metric, value in each.pushing.items():
            run.note(pushing, metric, value, subject=subject)
        for metric, value in each.idling.items():
            run.note(idle, metric, value, subject=subject)
        generator = measures.generator_cpu(run.size, subject)
        run.bench.add(generator, measures.GENERATOR, each.generator_cpu)
    for ratio, metric in (
        (measures.CPU_RATIO, measures.CPU_PER_PUSH),
        (measures.LAST_RATIO, measures.LAST_RECEIPT),
    ):
        run.note(pushing, ratio, done[OWN].pushing[metric] / done[GRPC_GO].pushing[metric])
