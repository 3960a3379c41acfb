"""How long a change takes from its commit to the SDKs: ``make bench-propagation``.

Starts api, evaluation and ingest as processes on a private mongod and RabbitMQ node, opens
definition streams over loopback, toggles one flag again and again, and takes the time at which
each stream has its change set. Bounded: `ROUNDS` x `CHANGES` toggles for each number of streams.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import grpc
from grpc import aio

from bench.pace import until_due
from bench.record import (
    Benchmark,
    Measure,
    own_cpu_seconds,
    percentile,
    process_cpu_seconds,
)
from featmesh.management.v1 import (
    flag_service_pb2,
    flag_service_pb2_grpc,
    import_service_pb2,
    import_service_pb2_grpc,
)
from featmesh.sync.v1 import sync_pb2, sync_pb2_grpc
from tests.support import places
from tests.support.flags import boolean_flag
from tests.support.mesh import Mesh, three_services
from tests.support.mongodb import running_mongod
from tests.support.places import Place
from tests.support.rabbitmq import rabbitmq_node

STREAMS: Final = (1, 100)
ROUNDS: Final = 7
CHANGES: Final = 40
PATIENCE: Final = 30.0
FLAG: Final = "toggled"
METHOD: Final = """
One flag is toggled through the api, one change at a time, until every stream has it. Receipt is
when the load generator (one grpc.aio process on the same machine) has decoded the frame. The
commit is the transaction's own clock, which is the revision: it is read before the transaction
commits and has a resolution of 1 ms, so the latency is overstated, never understated. Each
round is the percentile over its changes and streams. Loopback, no TLS, two cores shared by
mongod, RabbitMQ, three services and the generator; real networks are not measured.
"""


@dataclass
class Receipts:
    """When each stream had which revision, in seconds of the wall clock."""

    times: dict[int, list[float]]
    complete: dict[int, asyncio.Event]
    streams: int

    def expect(self, revision: int) -> asyncio.Event:
        """Set once every stream has the revision."""
        return self.complete.setdefault(revision, asyncio.Event())

    def note(self, revision: int) -> None:
        """One stream has it now."""
        times = self.times.setdefault(revision, [])
        times.append(time.time())
        if len(times) == self.streams:
            self.expect(revision).set()


@contextmanager
def running_mesh() -> Iterator[Mesh]:
    """Three services on a mongod and a RabbitMQ node of their own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mongodb = stack.enter_context(running_mongod(folder / "mongod"))
        broker = stack.enter_context(rabbitmq_node())
        mesh = three_services(folder, mongodb=mongodb, database="bench", amqp=broker.url)
        stack.callback(mesh.stop)
        mesh.start()
        yield mesh


async def make_place(mesh: Mesh, channel: aio.Channel, name: str = "bench") -> Place:
    """A new environment with a flag that can be toggled."""
    place = await asyncio.to_thread(_make_place, mesh, name)
    imports = cast(
        "import_service_pb2_grpc.ImportServiceAsyncStub",
        import_service_pb2_grpc.ImportServiceStub(channel),
    )
    await imports.ImportItems(
        import_service_pb2.ImportItemsRequest(parent=place.environment, flags=[boolean_flag(FLAG)]),
        metadata=mesh.metadata(),
    )
    return place


def _make_place(mesh: Mesh, name: str) -> Place:
    with grpc.insecure_channel(mesh.api) as channel:
        return places.make_place(mesh, channel, name)


@asynccontextmanager
async def streams(mesh: Mesh, place: Place, count: int) -> AsyncIterator[Receipts]:
    """So many streams, each on a connection of its own, current when this is entered."""
    receipts = Receipts({}, {}, count)
    current = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(_read(mesh, place, receipts, current)) for _ in range(count)]
        try:
            async with asyncio.timeout(PATIENCE):
                for _ in range(count):
                    await current.acquire()
            yield receipts
        finally:
            for reader in readers:
                reader.cancel()


async def _read(mesh: Mesh, place: Place, receipts: Receipts, current: asyncio.Semaphore) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with aio.insecure_channel(mesh.evaluation, options=options) as channel:
        stub = cast("sync_pb2_grpc.SyncServiceAsyncStub", sync_pb2_grpc.SyncServiceStub(channel))
        call = stub.SyncDefinitions(
            sync_pb2.SyncDefinitionsRequest(),
            metadata=(("authorization", f"Bearer {place.server_key}"),),
        )
        first = True
        async for frame in call:
            if frame.WhichOneof("frame") == "change_set" and frame.change_set.last:
                if first:
                    current.release()
                else:
                    receipts.note(frame.change_set.revision)
                first = False


@dataclass(frozen=True)
class Outcome:
    """Latencies of one round in milliseconds, and CPU in microseconds."""

    from_commit: list[float]
    from_request: list[float]
    server_cpu: float
    generator_cpu: float


async def toggle_again_and_again(
    mesh: Mesh,
    channel: aio.Channel,
    place: Place,
    receipts: Receipts,
    changes: int = CHANGES,
    *,
    per_second: float = 0.0,
) -> Outcome:
    """So many toggles, each awaited on every stream; as fast as they go, or at this rate."""
    stub = cast(
        "flag_service_pb2_grpc.FlagServiceAsyncStub", flag_service_pb2_grpc.FlagServiceStub(channel)
    )
    from_commit: list[float] = []
    from_request: list[float] = []
    got = await stub.GetFlag(
        flag_service_pb2.GetFlagRequest(name=place.flag(FLAG)),
        metadata=mesh.metadata(),
    )
    enabled = got.resource.flag.enabled
    evaluation = mesh.processes[1].pid
    server, generator = process_cpu_seconds(evaluation), own_cpu_seconds()
    began = time.perf_counter()
    for number in range(changes):
        await until_due(number, began, per_second)
        enabled = not enabled
        sent = time.time()
        request = flag_service_pb2.ToggleFlagRequest(name=place.flag(FLAG), enabled=enabled)
        answer = await stub.ToggleFlag(request, metadata=mesh.metadata())
        revision = answer.resource.flag.revision
        async with asyncio.timeout(PATIENCE):
            await receipts.expect(revision).wait()
        times = receipts.times[revision]
        from_commit.extend((each - revision / 1_000) * 1_000 for each in times)
        from_request.extend((each - sent) * 1_000 for each in times)
    pushes = changes * receipts.streams
    return Outcome(
        from_commit,
        from_request,
        (process_cpu_seconds(evaluation) - server) / pushes * 1e6,
        (own_cpu_seconds() - generator) / pushes * 1e6,
    )


def note(bench: Benchmark, count: int, outcome: Outcome) -> None:
    """One round of one number of streams."""
    work = f"{count} stream{'s' if count > 1 else ''}, one change"
    for percent in (50, 99):
        for name, values in (
            ("commit to receipt", outcome.from_commit),
            ("request to receipt", outcome.from_request),
        ):
            measure = Measure(work=work, metric=f"{name} p{percent}", unit="ms")
            bench.add(measure, "featmesh", percentile(values, percent))
    for name, value in (
        ("evaluation CPU per push", outcome.server_cpu),
        ("generator CPU per push", outcome.generator_cpu),
    ):
        bench.add(Measure(work=work, metric=name, unit="us"), "featmesh", value)


async def measure_all(mesh: Mesh, bench: Benchmark) -> None:
    """All rounds, the numbers of streams in turn."""
    async with aio.insecure_channel(mesh.api) as channel:
        place = await make_place(mesh, channel)
        subjects = [str(count) for count in STREAMS]
        for turn in bench.scheduler(subjects, rounds=ROUNDS):
            count = int(turn.subject)
            async with streams(mesh, place, count) as receipts:
                outcome = await toggle_again_and_again(mesh, channel, place, receipts)
            note(bench, count, outcome)


def main() -> None:
    """Runs the benchmark and writes its record."""
    bench = Benchmark(
        "propagation", method=METHOD, packages=["grpcio", "motor", "pymongo", "aio-pika", "uvloop"]
    )
    with running_mesh() as mesh:
        asyncio.run(measure_all(mesh, bench))
    bench.finish()


if __name__ == "__main__":
    main()
