"""The load generator, as Python sees it. Times are nanoseconds of the wall clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench.push.children import Child, running

EVERY_KEY: Final = -1
AT_ONCE: Final = 64
"""Streams that are being opened at a time, where opening is not what is measured."""

OPENING_SECONDS: Final = 150.0
_NO_REVISION: Final = 2**62
"""None that a stream will ever have."""

SOURCES: Final = 8
"""Loopback addresses to connect from, so that local ports do not run short."""


@dataclass(frozen=True, slots=True)
class Change:
    """What streams of one key had to receive, and when it began."""

    revision: int
    at: int
    key: int = EVERY_KEY


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution of times in nanoseconds; of no values it is all 0."""

    count: int
    min: int
    p50: int
    p99: int
    max: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """How one change reached its streams; times are of the clock.

    A write is to the kernel of the reader, which may read it only later.
    """

    revision: int
    streams: int
    missing: int
    first: int
    last: int
    first_write: int
    last_write: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What streams received since they were marked."""

    frames: int
    bytes: int
    changes: int
    full: int
    heartbeats: int
    goodbyes: int
    overflow: int
    backwards: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a group of streams has received since its mark."""

    streams: int
    current: int
    failed: int
    refused: int
    statuses: Mapping[str, int]
    counts: Counts
    opening: Spread
    arrivals: Sequence[Arrival]
    delays: Spread
    writes: Spread

    @classmethod
    def read(cls, data: dict[str, Any]) -> Report:
        """From the generator's JSON."""
        return cls(
            **data
            | {
                "counts": Counts(**data["counts"]),
                "opening": Spread(**data["opening"]),
                "delays": Spread(**data["delays"]),
                "writes": Spread(**data["writes"]),
                "arrivals": tuple(Arrival(**each) for each in data["arrivals"] or ()),
            }
        )


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """How unary calls beside the streams went; from when each was due."""

    sent: int
    failed: int
    statuses: Mapping[str, int]
    latency: Spread
    lateness: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Which streams to open, and how; see `Options` in generator/load/group.go."""

    target: str
    streams: int
    keys: Sequence[str]
    per_connection: int = 1
    users: str = ""
    tokens: Sequence[str] = ()
    """A serialised `ResumeToken` for each key, in base64."""
    at_once: int = AT_ONCE
    tries: int = 1
    stalled: bool = False
    window: int = 0
    sources: int = SOURCES


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """Evaluate calls at a fixed rate (a second), for so many seconds at most."""

    target: str
    key: str
    flag: str
    rate: float
    at_most: float
    user: str = "probe"


class NotCurrent(Exception):
    """Streams did not open, or did not receive what they had to."""


@dataclass
class Generator:
    """Its commands."""

    child: Child
    _groups: list[str] = field(default_factory=list)

    async def open(
        self, group: str, opening: Opening, *, seconds: float = OPENING_SECONDS
    ) -> Report:
        """Opens streams and waits until they are current; it is the caller's to judge."""
        self._groups.append(group)
        answer = await self._do("open", group, open=asdict(opening), seconds=seconds)
        return Report.read(answer["report"])

    async def mark(self, group: str) -> None:
        """Counts and receipts begin anew."""
        await self._do("mark", group)

    async def wait(self, group: str, changes: Sequence[Change], *, seconds: float) -> int:
        """Until all streams have the changes; how many have not."""
        answer = await self._do("wait", group, changes=_json(changes), seconds=seconds)
        return int(answer["late"])

    async def report(self, group: str, changes: Sequence[Change] = ()) -> Report:
        """What was received since the mark."""
        answer = await self._do("report", group, changes=_json(changes))
        return Report.read(answer["report"])

    async def release(self, group: str) -> None:
        """Stalled readers read again."""
        await self._do("release", group)

    async def ended(self, group: str, *, seconds: float) -> Report:
        """Until all streams of the group have ended, or the time is over; the report then."""
        await self.wait(group, [Change(_NO_REVISION, 0)], seconds=seconds)
        return await self.report(group)

    async def close(self, group: str) -> None:
        """Ends the group's connections."""
        await self._do("close", group)
        self._groups.remove(group)

    async def close_all(self) -> None:
        """Ends every group's connections."""
        for group in tuple(self._groups):
            await self.close(group)

    async def probe(self, probing: Probing) -> None:
        """Starts unary calls."""
        await self._do("probe", probe=asdict(probing))

    async def probed(self, *, seconds: float = 10.0) -> ProbeReport:
        """Ends them, waiting so long for answers under way."""
        report = (await self._do("probed", seconds=seconds))["probe"]
        spreads = {name: Spread(**report[name]) for name in ("latency", "lateness")}
        return ProbeReport(**report | spreads)

    async def cpu_seconds(self) -> float:
        """CPU time that the generator has used."""
        return float((await self._do("cpu"))["cpu"])

    async def _do(self, what: str, group: str = "", **fields: Any) -> dict[str, Any]:
        return await self.child.ask({"do": what, "group": group, **fields})


def _json(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [asdict(each) for each in changes]


@asynccontextmanager
async def running_generator(program: Any, *, is_polite: bool) -> AsyncIterator[Generator]:
    """A generator while entered; see `running`."""
    async with running("the load generator", [program], is_polite=is_polite) as child:
        yield Generator(child)
