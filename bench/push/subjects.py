"""Servers that push to streams: ours and the references, asked in the same way."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.model import OWN
from bench.push import building
from bench.push.children import Child, running
from bench.push.commits import NS_PER_MS
from bench.push.generator import Change
from bench.push.installation import Installation
from bench.push.sizes import FLAG_BYTES
from bench.push.workload import flags_of, patch_frame
from tests.support.places import Place

GRPC_GO = "reference: minimal grpc-go server"
GRPC_JS = "reference: minimal @grpc/grpc-js server"
GRPC_AIO = "reference: grpc.aio as people write it"


class Server(Protocol):
    """A running server with one environment."""

    pid: int
    address: str
    keys: Sequence[str]

    async def push(self) -> Change:
        """One change; where there is no commit, it begins at the first write."""

    async def timed(self, changes: Sequence[Change]) -> Sequence[Change]:
        """The same changes, beginning at their commits."""


@dataclass
class OwnServer:
    """Ours: a push is a ToggleFlag call at the api."""

    pid: int
    address: str
    keys: Sequence[str]
    installation: Installation
    place: Place

    async def push(self) -> Change:
        """See `Server`."""
        return await self.installation.toggle(self.place)

    async def timed(self, changes: Sequence[Change]) -> Sequence[Change]:
        """See `Server`."""
        return await self.installation.commits.timed(changes)


@dataclass
class ReferenceServer:
    """One that is told the bytes to send."""

    child: Child
    pid: int
    address: str
    keys: Sequence[str] = ("none",)
    revision: int = 0

    async def push(self) -> Change:
        """See `Server`."""
        self.revision = max(time.time_ns() // NS_PER_MS, self.revision + 1)
        frame = base64.b64encode(patch_frame(self.revision, FLAG_BYTES)).decode()
        answer = await self.child.ask({"frame": frame})
        return Change(self.revision, int(answer["at"]))

    async def timed(self, changes: Sequence[Change]) -> Sequence[Change]:
        """See `Server`; there is no commit."""
        return changes


Opener = Callable[[], AbstractAsyncContextManager[Server]]


@asynccontextmanager
async def own_server(installation: Installation) -> AsyncIterator[Server]:
    """Ours, with one flag."""
    (place,) = await installation.new_places(1, flags_of(1, FLAG_BYTES))
    address, keys = installation.mesh.evaluation, (place.server_key,)
    async with installation.running_evaluation() as pid:
        yield OwnServer(pid, address, keys, installation, place)


@asynccontextmanager
async def reference_server(name: str, command: Sequence[str | Path]) -> AsyncIterator[Server]:
    """A reference that holds a first change set."""
    async with running(name, command) as child:
        port = int((await child.read())["port"])
        server = ReferenceServer(child, child.pid, f"127.0.0.1:{port}")
        await server.push()
        yield server


def openers(installation: Installation) -> dict[str, Opener]:
    """Every server by its subject's name; builds the references."""
    commands: dict[str, list[str | Path]] = {
        GRPC_GO: [building.grpc_go_server()],
        GRPC_JS: ["node", building.grpc_js_server()],
        GRPC_AIO: [sys.executable, "-m", "bench.push.references.grpc_aio"],
    }

    def opener(name: str) -> Opener:
        return lambda: reference_server(name, commands[name])

    return {OWN: lambda: own_server(installation), **{name: opener(name) for name in commands}}
