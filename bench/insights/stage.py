"""All processes of the mesh with a place to send to, and what is stored of it."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from grpc import aio
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from bench.machine import process_cpu_seconds
from bench.propagation import make_place
from services.standalone.mongod import EmbeddedMongod
from tests.support.mesh import Mesh, three_services
from tests.support.places import Place
from tests.support.ports import free_port
from tests.support.rabbitmq import RabbitMqNode, rabbitmq_node

DATABASE: Final = "bench"
UNLIMITED: Final = {"FEATMESH_TRACK_EVENTS_PER_SECOND": "1000000000"}
LOOK_EVERY: Final = 0.1
CACHE: Final = 4.0
"""GB for mongod: what it would take of a machine with 9 GB, half of all but the first."""

STORE_PATIENCE: Final = 600.0

_NAMES: Final = {"mongod": "mongod", "beam.smp": "rabbitmq"}


@dataclass
class Stage:
    """A running mesh; `place` is one environment of it."""

    mesh: Mesh
    broker: RabbitMqNode
    mongod: EmbeddedMongod
    database: Any

    async def place(self, name: str) -> Place:
        """A new environment with a key."""
        async with aio.insecure_channel(self.mesh.api) as channel:
            return await make_place(self.mesh, channel, name)

    def cpu_seconds(self, part: str) -> float:
        """Of a service's process and its workers, of ``mongod`` or of ``rabbitmq``, so far."""
        pids = [each.pid for each in self.mesh.processes if each.name == part]
        pids = pids or own_children(part)
        return sum(process_cpu_seconds(one) for pid in pids for one in (pid, *children(pid)))

    def resident_mib(self, service: str) -> float:
        """Memory of a service's process."""
        (pid,) = (each.pid for each in self.mesh.processes if each.name == service)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1_024
        return 0.0

    def totals(self, collection: str, environment: str) -> Counter[str]:
        """The sums of a roll-up's numbers over all its documents of this environment."""
        sums: Counter[str] = Counter(evaluations=0, events=0, dropped=0)
        for part in self.database[collection].find({"environment": environment}, {"users": 0}):
            sums.update({name: part[name] for name in list(sums) if name in part})
        return sums

    def count(self, collection: str, environment: str) -> int:
        """Documents of this environment."""
        return int(self.database[collection].count_documents({"environment": environment}))

    def stored(self, environment: str) -> int:
        """Events of this environment, by its roll-ups."""
        days = self.totals("environment_days", environment)
        return days["evaluations"] + days["events"]

    async def until_stored_async(self, environment: str, events: int) -> None:
        """As `until_stored`."""
        await asyncio.to_thread(self.until_stored, environment, events)

    def until_stored(self, environment: str, events: int) -> None:
        """Waits until so many events are stored."""
        deadline = time.monotonic() + STORE_PATIENCE
        found = 0
        while found < events:
            with suppress(PyMongoError):  # the primary may be away just now
                found = self.stored(environment)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{found} of {events} events after {STORE_PATIENCE:g} s")
            time.sleep(LOOK_EVERY)


def own_children(part: str) -> list[int]:
    """Processes of ``mongod`` or ``rabbitmq`` that this one has started."""
    return [pid for pid in children(os.getpid()) if _NAMES.get(_name(pid)) == part]


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def children(pid: int) -> list[int]:
    """Processes that a process has started and that run now."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            found += map(int, (task / "children").read_text().split())
    return found


@contextmanager
def running_stage(variables: Mapping[str, str] = MappingProxyType({})) -> Iterator[Stage]:
    """Three services on a mongod and a RabbitMQ node of their own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        mongod = EmbeddedMongod(folder / "mongod", port=port, cache=CACHE)
        asyncio.run(mongod.start())
        stack.callback(lambda: asyncio.run(mongod.stop()))
        mongodb = mongod.uri
        broker = stack.enter_context(rabbitmq_node())
        given = {**UNLIMITED, **variables}
        mesh = three_services(
            folder, mongodb=mongodb, database=DATABASE, amqp=broker.url, variables=given
        )
        stack.callback(mesh.stop)
        mesh.start()
        client: MongoClient[dict[str, Any]] = MongoClient(mongodb, tz_aware=True)
        stack.callback(client.close)
        yield Stage(mesh, broker, mongod, client[DATABASE])
