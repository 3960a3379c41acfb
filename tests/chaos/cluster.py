"""Everything that a mesh is made of, as real processes behind proxies that can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.chaos.replica_set import ReplicaSet
from tests.chaos.waiting import until
from tests.support.mesh import ServiceProcess
from tests.support.ports import free_address
from tests.support.proxy import TcpProxy
from tests.support.rabbitmq import RabbitMqNode

DATABASE: Final = "chaos"
HEARTBEAT_SECONDS: Final = 2
"""The shortest silence that SDKs can tell from a broken stream is a multiple of it."""

INGEST: Final = "chaos-ingest"
"""How `ingest` names itself to MongoDB, for faults that are meant for it alone."""


class Service:
    """One process and its own way to the broker; its callers reach it by ``gate``."""

    def __init__(self, process: ServiceProcess, broker: TcpProxy) -> None:
        self.process = process
        self.broker = broker
        self.gate = TcpProxy(*_host_and_port(process.address))

    @property
    def address(self) -> str:
        """For its callers."""
        return f"127.0.0.1:{self.gate.port}"

    async def serving(self) -> None:
        """Returns once its health says so; starts it first if it does not run."""
        if not self.process.running:
            self.process.start()
        await asyncio.to_thread(self.process.wait_until_serving)

    async def stop(self) -> int:
        """SIGTERM, then the exit code."""
        return await asyncio.to_thread(self.process.stop)

    def program(self, module: str = "", **variables: str) -> None:
        """What its next start runs, with further variables."""
        merged = {**self.process.variables, **variables}
        self.process = replace(self.process, program=module, variables=merged)


class Cluster:
    """Two `api`, two `evaluation`, one `ingest`, three mongods, one RabbitMQ."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token_file = folder / "token"
        self.mongo = ReplicaSet(folder)
        self.broker = RabbitMqNode()
        self.apis: list[Service] = []
        self.evaluations: list[Service] = []
        self.ingest: Service

    @property
    def services(self) -> list[Service]:
        """All of them, in the order of starting."""
        return [*self.apis, *self.evaluations, self.ingest]

    @property
    def token(self) -> str:
        """The administrator's."""
        return self.token_file.read_text().strip()

    @property
    def sdk_address(self) -> str:
        """Both `evaluation` for one channel: the first that answers is taken."""
        return "ipv4:" + ",".join(each.address for each in self.evaluations)

    async def start(self) -> None:
        """Returns when every service serves."""
        await asyncio.gather(self.mongo.start(), asyncio.to_thread(self.broker.start))
        self.apis = [await self._service("api", number) for number in (1, 2)]
        self.evaluations = [await self._service("evaluation", number) for number in (1, 2)]
        self.ingest = await self._service("ingest", 1)
        await self.apis[0].serving()  # makes the database and the token
        await self.whole()

    async def whole(self) -> None:
        """Ends what faults left behind; returns when every part serves."""
        self.calm()
        await self.mongo.heal()
        await self.mongo.healthy()
        for service in self.services:
            await service.serving()

    def logged(self, text: str) -> int:
        """How many lines of the services' logs have this in them."""
        return sum(
            text in line
            for service in self.services
            for line in service.process.log.read_text(errors="replace").splitlines()
        )

    def calm(self) -> None:
        """No proxy slows or holds anything."""
        for node in self.mongo.nodes:
            node.proxy.calm()
        for service in self.services:
            service.gate.calm()
            service.broker.calm()

    async def remove(self) -> None:
        """Ends everything; safe at any time."""
        for service in self.services if hasattr(self, "ingest") else self.apis:
            service.process.kill()
            await asyncio.gather(service.gate.cut(), service.broker.cut())
        await self.mongo.remove()
        await asyncio.to_thread(self.broker.remove)

    async def _service(self, name: str, number: int) -> Service:
        broker, amqp = await TcpProxy.in_front_of(self.broker.url)
        address = free_address()
        variables = self._variables(name, amqp)
        variables[f"FEATMESH_{name.upper()}_LISTEN"] = address
        log = self.folder / f"{name}-{number}.log"
        process = ServiceProcess(name, address, variables, log)
        service = Service(process, broker)
        await service.gate.open()
        return service

    def _variables(self, name: str, amqp: str) -> dict[str, str]:
        return {
            "FEATMESH_MONGODB_URI": f"{self.mongo.uri}&appName=chaos-{name}",
            "FEATMESH_MONGODB_DATABASE": DATABASE,
            "FEATMESH_AMQP_URL": amqp,
            "FEATMESH_BOOTSTRAP_TOKEN_FILE": str(self.token_file),
            "FEATMESH_DRAIN_DELAY_SECONDS": "0",
            "FEATMESH_DRAIN_WINDOW_SECONDS": "1",
            "FEATMESH_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
        }

    async def traffic_ends(self) -> None:
        """Returns when the outbox is empty: every change is announced."""
        primary = await self.mongo.primary()

        async def look() -> bool:
            outbox = primary.client[DATABASE]["outbox"]
            return await outbox.count_documents({}, limit=1) == 0

        await until(look, "every change is announced")


@asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """A cluster that serves, and is gone afterwards whatever happened."""
    cluster = Cluster(folder)
    try:
        await cluster.start()
        yield cluster
    finally:
        await asyncio.shield(cluster.remove())


def _host_and_port(address: str) -> tuple[str, int]:
    parts = urlsplit(f"tcp://{address}")
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port
