"""A mesh with writers and readers at work, on which faults are tried."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from featmesh.engine.model import Context
from tests.chaos.cluster import Cluster
from tests.chaos.content import USERS
from tests.chaos.events import Tracker
from tests.chaos.history import Environment
from tests.chaos.lane import Lane
from tests.chaos.management import Management
from tests.chaos.readers import ALWAYS_ON, SdkReader, Subject, UserReader
from tests.chaos.store import CommitWatch
from tests.chaos.streams import StreamReader, channel
from tests.chaos.writer import Writer
from tests.support.flags import boolean_flag
from tests.support.places import Place

ENVIRONMENTS: Final = ("blue", "green")
LANES: Final = 2
_SAMPLE_SECONDS: Final = 0.05
_DISCONNECT_SECONDS: Final = 3.0
"""On average, between two connections of SDKs that break by themselves."""


class Settings(Protocol):
    """``pace`` shortens how long faults last: 1 is in full."""

    seed: str
    pace: float


@dataclass(frozen=True, slots=True)
class Site:
    """One environment with all that writes to it."""

    truth: Environment
    place: Place
    hand: Lane
    """For writes that a fault does itself."""
    lanes: Sequence[Lane]


@dataclass(slots=True)
class Stage:
    """Everything that a fault may touch."""

    cluster: Cluster
    sites: Sequence[Site]
    management: Management
    writer: Writer
    tracker: Tracker
    dice: random.Random
    pace: float
    log: deque[str]
    """What happened; the last of it is shown when an invariant breaks."""
    subjects: list[Subject] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def note(self, text: str) -> None:
        """Something happened."""
        self.log.append(f"{time.monotonic() - self.began:8.2f} s  {text}")

    async def hold(self, seconds: float, *, at_least: float = 0.0) -> None:
        """The fault lasts so long, in a run in full; less than ``at_least`` would be no fault."""
        await asyncio.sleep(max(seconds * self.pace, at_least))

    def site_of(self, subject: Subject) -> Site:
        """Where a reader reads."""
        return next(each for each in self.sites if each.truth.name == subject.reader.environment)

    def forget(self) -> None:
        """What was proved is not kept."""
        for subject in self.subjects:
            subject.reader.forget()
        for site in self.sites:
            site.truth.forget()
        self.tracker.acknowledged.clear()

    @property
    def written(self) -> int:
        """Updates that were acknowledged so far."""
        return sum(lane.written for site in self.sites for lane in (site.hand, *site.lanes))


async def _make_sites(management: Management, seed: str) -> list[Site]:
    sites = []
    for name in ENVIRONMENTS:
        place = await management.make_place(name)
        truth = Environment(name, place.environment_id, 0)
        hand = Lane("hand", truth, management, seed)
        lanes = [Lane(f"lane{number}", truth, management, seed) for number in range(LANES)]
        await hand.put_flag(boolean_flag(ALWAYS_ON))
        truth.forget()
        sites.append(Site(truth, place, hand, lanes))
    return sites


@asynccontextmanager
async def staged(cluster: Cluster, settings: Settings, log: deque[str]) -> AsyncIterator[Stage]:
    """Writers and readers at work; the failure of one of them ends the block."""
    seed = settings.seed
    async with AsyncExitStack() as stack:
        management = Management([each.address for each in cluster.apis], cluster.token)
        stack.push_async_callback(management.close)
        sites = await _make_sites(management, seed)
        connection = channel(cluster.sdk_address)
        stack.push_async_callback(connection.close)
        stage = Stage(
            cluster=cluster,
            sites=sites,
            management=management,
            writer=Writer([lane for site in sites for lane in site.lanes], seed),
            tracker=Tracker(connection, sites[0].place.server_key),
            dice=random.Random(f"{seed}/faults"),
            pace=settings.pace,
            log=log,
        )
        await _add_readers(stage, stack)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        watch = CommitWatch(cluster, [site.truth for site in sites])
        work = [
            watch.run(),
            stage.writer.run(),
            stage.tracker.run(),
            _sample(stage),
            _disconnect(stage),
        ]
        running = [tasks.create_task(each) for each in work]
        try:
            yield stage
        finally:
            for task in running:
                task.cancel()


async def _add_readers(stage: Stage, stack: AsyncExitStack) -> None:
    """In each environment two server SDKs, two client SDKs and two streams."""
    address = stage.cluster.sdk_address
    connection = channel(address)
    stack.push_async_callback(connection.close)
    for site in stage.sites:
        name, place, truth = site.truth.name, site.place, site.truth
        for number, user in enumerate(USERS[:2]):
            context = Context(user, attributes={"plan": ("gold", "free")[number]})
            more: list[Subject] = [
                SdkReader(f"server SDK {number} in {name}", address, place, truth),
                UserReader(address, place, context, truth),
                StreamReader(f"stream {number} in {name}", connection, place.server_key, name),
            ]
            for each in more:
                stack.push_async_callback(each.close)
            stage.subjects.extend(more)
    for subject in stage.subjects:
        await subject.ready()


async def _sample(stage: Stage) -> None:
    while True:
        for subject in stage.subjects:
            subject.sample()
        await asyncio.sleep(_SAMPLE_SECONDS)


async def _disconnect(stage: Stage) -> None:
    """Now and then somebody's connection breaks, fault or no fault."""
    dice = random.Random()  # its choices change no write and no fault
    while True:
        await asyncio.sleep(dice.expovariate(1 / _DISCONNECT_SECONDS))
        subject = dice.choice(stage.subjects)
        if isinstance(subject, StreamReader):
            subject.disconnect()
        else:
            await dice.choice(stage.cluster.evaluations).gate.cut_links(at_most=1)
