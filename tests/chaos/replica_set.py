"""Three real mongods as one replica set, each behind a proxy through which all others see it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from services.standalone.mongod import packaged_mongod
from tests.chaos.waiting import until
from tests.support.mesh import DIES_WITH_US
from tests.support.ports import free_port
from tests.support.proxy import TcpProxy

NAME: Final = "chaos"
NODES: Final = 3

_SETTINGS: Final = {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500}
"""A fifth of MongoDB's own times, so that a run sees many elections."""

_ORPHAN_SECONDS: Final = 10
"""How long a transaction may keep others waiting whose client was killed; 60 unless set."""

Client = AsyncMongoClient[dict[str, Any]]


class Mongod:
    """One node. Its proxy's address is the one that it is a member under."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self._folder = folder / f"mongod-{number}"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.proxy = TcpProxy("127.0.0.1", self._port)
        uri = f"mongodb://127.0.0.1:{self._port}/?directConnection=true"
        self.client: Client = AsyncMongoClient(
            uri, socketTimeoutMS=5_000, serverSelectionTimeoutMS=2_000, connectTimeoutMS=2_000
        )

    @property
    def member(self) -> str:
        """``host:port`` in the set's configuration."""
        return f"127.0.0.1:{self.proxy.port}"

    def start(self) -> None:
        """Returns at once."""
        self._folder.mkdir(exist_ok=True)
        command = [*DIES_WITH_US, str(packaged_mongod()), "--replSet", NAME]
        command += ["--bind_ip", "127.0.0.1", "--port", str(self._port), "--nounixsocket"]
        command += ["--dbpath", str(self._folder), "--wiredTigerCacheSizeGB", "0.25"]
        command += ["--setParameter", "enableTestCommands=1"]  # for fail points
        command += ["--setParameter", f"transactionLifetimeLimitSeconds={_ORPHAN_SECONDS}"]
        command += ["--logpath", str(self._folder / "log"), "--logappend"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self) -> None:
        """SIGKILL: a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def hello(self) -> dict[str, Any]:
        """What the node says of itself; nothing while it is away."""
        try:
            return await self.client.admin.command("hello")
        except PyMongoError:
            return {}


class ReplicaSet:
    """The set as a whole."""

    def __init__(self, folder: Path) -> None:
        self.nodes: Sequence[Mongod] = [Mongod(number, folder) for number in range(NODES)]

    @property
    def uri(self) -> str:
        """For drivers, which then follow the set's own list of members."""
        members = ",".join(node.member for node in self.nodes)
        return f"mongodb://{members}/?replicaSet={NAME}"

    async def start(self) -> None:
        """Returns when there is a primary."""
        for node in self.nodes:
            await node.proxy.open()
            node.start()
        await self._initiate()
        await self.healthy()

    async def _initiate(self) -> None:
        members = [{"_id": node.number, "host": node.member} for node in self.nodes]
        config = {"_id": NAME, "members": members, "settings": _SETTINGS}
        for node in self.nodes:
            await until(node.hello, f"mongod {node.number} answers")
        await self.nodes[0].client.admin.command("replSetInitiate", config)

    async def primary(self) -> Mongod:
        """The node that takes writes; waits for an election to end."""

        async def look() -> Mongod | None:
            for node in self.nodes:
                if (await node.hello()).get("isWritablePrimary"):
                    return node
            return None

        return await until(look, "the replica set has a primary")

    async def healthy(self) -> None:
        """Returns when one node is primary and the others follow it."""

        async def look() -> bool:
            said = [await node.hello() for node in self.nodes]
            primaries = sum(bool(each.get("isWritablePrimary")) for each in said)
            return primaries == 1 and sum(bool(each.get("secondary")) for each in said) == NODES - 1

        await until(look, "the replica set is healthy")

    async def fail(self, commands: Sequence[str], app: str = "", **data: Any) -> None:
        """From now on every node answers these commands as ``data`` says; see `heal`."""
        data = {"failCommands": list(commands), "failInternalCommands": False, **data}
        await self._fail_point(
            {"mode": "alwaysOn", "data": data | ({"appName": app} if app else {})}
        )

    async def heal(self) -> None:
        """No node fails on purpose any more."""
        await self._fail_point({"mode": "off"})

    async def _fail_point(self, settings: dict[str, Any]) -> None:
        for node in self.nodes:
            command = {"configureFailPoint": "failCommand", **settings}
            await node.client.admin.command(command)

    async def step_down(self) -> None:
        """The primary gives up its place for a while."""
        primary = await self.primary()
        await primary.client.admin.command({"replSetStepDown": 10, "force": True})

    async def remove(self) -> None:
        """Ends everything."""
        for node in self.nodes:
            node.kill()
        await asyncio.gather(
            *(node.proxy.cut() for node in self.nodes),
            *(node.client.close() for node in self.nodes),
        )
