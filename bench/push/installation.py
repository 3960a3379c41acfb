"""A real installation to push through: mongod, RabbitMQ, api and ingest for the whole run.

`evaluation`, which is measured, is started anew for each turn, so that none inherits another's
memory.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import grpc
from grpc import aio

from bench.push.commits import NS_PER_MS, Commits
from bench.push.generator import EVERY_KEY, Change
from featmesh.management.v1 import (
    flag_service_pb2,
    flag_service_pb2_grpc,
    import_service_pb2,
    import_service_pb2_grpc,
)
from featmesh.sync.v1 import sync_pb2, sync_pb2_grpc
from featmesh.sync.v1.sync_pb2 import ResumeToken
from tests.support.mesh import Mesh, ServiceProcess, three_services
from tests.support.mongodb import running_mongod
from tests.support.places import Place, make_place
from tests.support.rabbitmq import rabbitmq_node

PATIENCE: Final = 60.0
_DATABASE: Final = "bench"
_MESSAGE_BYTES: Final = 32 * 1024 * 1024
_numbers = count(1)


@dataclass(frozen=True)
class Installation:
    """What runs, and how to change flags in it."""

    mesh: Mesh
    amqp: str
    evaluation: ServiceProcess
    channel: aio.Channel
    commits: Commits
    _enabled: dict[tuple[str, str], bool] = field(default_factory=dict)

    @asynccontextmanager
    async def running_evaluation(self) -> AsyncIterator[int]:
        """A new `evaluation` while entered; the number of its first process."""
        self.evaluation.start()
        try:
            await asyncio.to_thread(self.evaluation.wait_until_serving)
            yield self.evaluation.pid
        finally:
            await asyncio.to_thread(self.evaluation.stop)

    @property
    def metrics(self) -> str:
        """The address of what `evaluation` exports."""
        return self.evaluation.variables["FEATMESH_METRICS_LISTEN"]

    async def new_places(
        self, number: int, flags: Sequence[flag_service_pb2.FlagResource]
    ) -> list[Place]:
        """So many environments with these flags."""
        places = await asyncio.to_thread(self._make_places, number)
        imports: Any = import_service_pb2_grpc.ImportServiceStub(self.channel)
        for place in places:
            request = import_service_pb2.ImportItemsRequest(parent=place.environment, flags=flags)
            await imports.ImportItems(request, metadata=self.mesh.metadata(), timeout=PATIENCE)
        return places

    async def toggle(self, place: Place, flag: str = "flag-0", *, key: int = EVERY_KEY) -> Change:
        """Turns a flag on or off; the change begins at its revision: see `Commits`."""
        wanted = not self._enabled.get((place.environment, flag), True)
        self._enabled[place.environment, flag] = wanted
        request = flag_service_pb2.ToggleFlagRequest(name=place.flag(flag), enabled=wanted)
        answer = await self._flags.ToggleFlag(
            request, metadata=self.mesh.metadata(), timeout=PATIENCE
        )
        return _change(answer, key)

    async def token(self, server_key: str) -> ResumeToken:
        """What an SDK of this key resumes with that holds everything."""
        async with aio.insecure_channel(self.mesh.evaluation) as channel:
            sync: Any = sync_pb2_grpc.SyncServiceStub(channel)
            metadata = (("authorization", f"Bearer {server_key}"),)
            request = sync_pb2.SyncDefinitionsRequest()
            async for frame in sync.SyncDefinitions(request, metadata=metadata, timeout=PATIENCE):
                if frame.change_set.last:
                    token: ResumeToken = frame.change_set.resume
                    return token
        raise AssertionError("a stream ended without a change set")

    async def describe(self, place: Place, description: str, flag: str = "flag-0") -> Change:
        """Changes what only operators see: a new revision, the same results."""
        metadata = self.mesh.metadata()
        got = await self._flags.GetFlag(
            flag_service_pb2.GetFlagRequest(name=place.flag(flag)),
            metadata=metadata,
            timeout=PATIENCE,
        )
        got.resource.description = description
        request = flag_service_pb2.UpdateFlagRequest(
            resource=got.resource, base_version=got.resource.meta.version
        )
        answer = await self._flags.UpdateFlag(request, metadata=metadata, timeout=PATIENCE)
        return _change(answer, EVERY_KEY)

    @property
    def _flags(self) -> Any:
        return flag_service_pb2_grpc.FlagServiceStub(self.channel)

    def _make_places(self, number: int) -> list[Place]:
        with grpc.insecure_channel(self.mesh.api) as channel:
            return [
                make_place(self.mesh, channel, f"bench-{next(_numbers)}") for _ in range(number)
            ]


def _change(answer: Any, key: int) -> Change:
    revision = answer.resource.flag.revision
    return Change(revision, revision * NS_PER_MS, key)


@contextmanager
def _mesh(variables: Mapping[str, str]) -> Iterator[tuple[Mesh, ServiceProcess, str, str]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mongodb = stack.enter_context(running_mongod(folder / "mongod"))
        broker = stack.enter_context(rabbitmq_node())
        mesh = three_services(folder, mongodb=mongodb, database=_DATABASE, amqp=broker.url)
        api, evaluation, ingest = mesh.processes
        evaluation = replace(evaluation, variables={**evaluation.variables, **variables})
        mesh = replace(mesh, processes=[api, ingest])
        stack.callback(mesh.stop)
        mesh.start()
        yield mesh, evaluation, broker.url, mongodb


@asynccontextmanager
async def running_installation(variables: Mapping[str, str]) -> AsyncIterator[Installation]:
    """Everything but `evaluation`, which gets these variables besides; while entered."""
    options = [("grpc.max_send_message_length", _MESSAGE_BYTES)]
    mesh_context = _mesh(variables)
    mesh, evaluation, amqp, mongodb = await asyncio.to_thread(mesh_context.__enter__)
    try:
        async with aio.insecure_channel(mesh.api, options=options) as channel:
            commits = Commits(mongodb, _DATABASE)
            yield Installation(mesh, amqp, evaluation, channel, commits)
    finally:
        await asyncio.to_thread(mesh_context.__exit__, None, None, None)
