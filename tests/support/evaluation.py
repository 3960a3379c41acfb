"""A running `evaluation` over real sockets, and readers of its streams as SDKs are."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from featmesh.engine.model import Flag, Result, Segment
from featmesh.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from featmesh.insights.v1 import insights_pb2_grpc
from featmesh.sync.v1 import sync_pb2
from featmesh.wire.changes import (
    DefinitionAssembler,
    DefinitionChanges,
    EvaluationAssembler,
    EvaluationChanges,
)
from services.evaluation.app import EvaluationApp
from services.evaluation.settings import EvaluationSettings
from services.evaluation.sync.timers import TimerSettings
from services.messaging.ports import Bus
from services.runtime.config import Address
from services.runtime.secrets import hash_secret, new_secret
from services.runtime.settings import ServerKind, ServerSettings, StoreSettings
from services.storage.model.credentials import SdkKeyKind
from services.storage.ports.store import Store
from tests.support.resources import make_sdk_key
from tests.support.waiting import PATIENCE

SERVING: Final = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING

QUICK: Final = 0.05
"""A poll interval that finds a change at once."""

NEVER: Final = 3_600.0
"""A poll interval that finds nothing during a test: only a notice can."""

_SYNC = "/featmesh.sync.v1.SyncService"

Changes = TypeVar("Changes", DefinitionChanges, EvaluationChanges)
ChannelOptions = Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Timing:
    """How fast the service under test is; seconds."""

    poll_interval: float = QUICK
    idle_environment: float = 300.0
    heartbeat: float = 25.0
    max_age: float = 3_600.0
    track_rate: float = 100_000.0


def settings(
    timing: Timing, kind: ServerKind = ServerKind.LOOP, port: int = 0
) -> EvaluationSettings:
    """A free port, unless one is named, and no delays."""
    return EvaluationSettings(
        server=ServerSettings(Address("127.0.0.1", port), kind, drain_delay=0, drain_window=1),
        store=StoreSettings("mongodb://user:secret@127.0.0.1:1", "featmesh"),
        timer_settings=TimerSettings(heartbeat=timing.heartbeat, max_age=timing.max_age),
        poll_interval=timing.poll_interval,
        idle_environment=timing.idle_environment,
        track_rate=timing.track_rate,
    )


class SyncStream(ABC, Generic[Changes]):
    """One open stream.

    It keeps the size of each frame, and the revision and token of each change set.
    """

    def __init__(self, call: Any) -> None:
        self.call = call
        self.frame_sizes: list[int] = []
        self.revisions: list[int] = []
        self.tokens: list[sync_pb2.ResumeToken | None] = []
        self._began = False

    async def frame(self) -> Any:
        """The next frame, decoded."""
        async with asyncio.timeout(PATIENCE):
            data = await self.call.read()
        assert data is not aio.EOF, "the stream has ended"
        self.frame_sizes.append(len(data))
        return self._decode(data)

    async def change(self) -> Changes:
        """The next whole change set, applied; heartbeats before it are passed over."""
        async with asyncio.timeout(PATIENCE):
            return await self._next_change()

    async def _next_change(self) -> Changes:
        while True:
            frame = await self.frame()
            assert frame.WhichOneof("frame") != "goodbye", frame
            if frame.WhichOneof("frame") == "change_set":
                changes = self._assemble(frame.change_set)
                if changes is not None:
                    self.revisions.append(changes.revision)
                    self.tokens.append(changes.resume)
                    self._apply(changes)
                    return changes

    async def reach(self, revision: int) -> None:
        """Applies change sets until the reader holds this revision."""
        while not self.revisions or self.revisions[-1] < revision:
            await self.change()

    async def goodbye(self) -> sync_pb2.Goodbye:
        """The frame that says why the stream ends, after which it has ended with OK."""
        while (frame := await self.frame()).WhichOneof("frame") != "goodbye":
            pass
        async with asyncio.timeout(PATIENCE):
            assert await self.call.read() is aio.EOF
        goodbye: sync_pb2.Goodbye = frame.goodbye
        return goodbye

    async def refused(self) -> aio.AioRpcError:
        """The error with which the stream ends; frames before it are passed over."""
        with pytest.raises(aio.AioRpcError) as caught:
            await self._read_to_the_end()
        return caught.value

    async def _read_to_the_end(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.call.read() is not aio.EOF:
                pass

    def close(self) -> None:
        """The reader goes away."""
        self.call.cancel()

    @abstractmethod
    def _decode(self, data: bytes) -> Any: ...

    @abstractmethod
    def _assemble(self, part: Any) -> Changes | None: ...

    @abstractmethod
    def _apply(self, changes: Changes) -> None: ...


class DefinitionStream(SyncStream[DefinitionChanges]):
    """A server SDK: it holds what all applied change sets say."""

    def __init__(self, call: Any) -> None:
        super().__init__(call)
        self.flags: dict[str, Flag] = {}
        self.segments: dict[str, Segment] = {}
        self._assembler = DefinitionAssembler()

    def _decode(self, data: bytes) -> sync_pb2.SyncDefinitionsResponse:
        return sync_pb2.SyncDefinitionsResponse.FromString(data)

    def _assemble(self, part: Any) -> DefinitionChanges | None:
        return self._assembler.add(part)

    def _apply(self, changes: DefinitionChanges) -> None:
        if changes.full:
            self.flags, self.segments = {}, {}
        for key in changes.deleted_flag_keys:
            self.flags.pop(key, None)
        for segment_id in changes.deleted_segment_ids:
            self.segments.pop(segment_id, None)
        self.flags.update({each.key: each for each in changes.flags})
        self.segments.update({each.id: each for each in changes.segments})


class ResultStream(SyncStream[EvaluationChanges]):
    """A client SDK: it holds one context's results; `raw` is every frame as it came."""

    def __init__(self, call: Any) -> None:
        super().__init__(call)
        self.results: dict[str, Result] = {}
        self.raw: list[bytes] = []
        self._assembler = EvaluationAssembler()

    def _decode(self, data: bytes) -> sync_pb2.SyncEvaluationsResponse:
        self.raw.append(data)
        return sync_pb2.SyncEvaluationsResponse.FromString(data)

    def _assemble(self, part: Any) -> EvaluationChanges | None:
        return self._assembler.add(part)

    def _apply(self, changes: EvaluationChanges) -> None:
        if changes.full:
            self.results = {}
        for key in changes.absent_flag_keys:
            self.results.pop(key, None)
        self.results.update({each.flag_key: each for each in changes.results})


class EvaluationClient:
    """Calls of one SDK key over one channel; closing the channel ends its streams."""

    def __init__(self, channel: aio.Channel, secret: str) -> None:
        self.channel = channel
        self.metadata = (("authorization", f"Bearer {secret}"),) if secret else ()
        self._evaluation: Any = evaluation_pb2_grpc.EvaluationServiceStub(channel)
        self._insights: Any = insights_pb2_grpc.InsightsServiceStub(channel)

    def definitions(
        self, resume: sync_pb2.ResumeToken | None = None, **fields: Any
    ) -> DefinitionStream:
        """Opens a server SDK's stream."""
        request = sync_pb2.SyncDefinitionsRequest(resume=resume, **fields)
        return DefinitionStream(self._open("SyncDefinitions", request))

    def results(
        self,
        context: evaluation_pb2.Context | str,
        resume: sync_pb2.ResumeToken | None = None,
        **fields: Any,
    ) -> ResultStream:
        """Opens a client SDK's stream, for a context or a mere key."""
        whom = evaluation_pb2.Context(key=context) if isinstance(context, str) else context
        request = sync_pb2.SyncEvaluationsRequest(resume=resume, context=whom, **fields)
        return ResultStream(self._open("SyncEvaluations", request))

    async def evaluate(
        self, context: evaluation_pb2.Context | str, *flag_keys: str, **fields: Any
    ) -> evaluation_pb2.EvaluateResponse:
        """One `Evaluate` call."""
        whom = evaluation_pb2.Context(key=context) if isinstance(context, str) else context
        request = evaluation_pb2.EvaluateRequest(context=whom, flag_keys=flag_keys, **fields)
        response: evaluation_pb2.EvaluateResponse
        response = await self._call(self._evaluation.Evaluate, request)
        return response

    async def track(self, request: Any) -> Any:
        """One `Track` call."""
        return await self._call(self._insights.Track, request)

    async def track_bytes(self, data: bytes) -> Any:
        """One `Track` call with a request that may be anything."""
        method: Any = self.channel.unary_unary("/featmesh.insights.v1.InsightsService/Track")
        return await self._call(method, data)

    def track_stream(self) -> Any:
        """Opens a relay's stream."""
        return self._insights.TrackStream(metadata=self.metadata, timeout=PATIENCE)

    async def identify(self, request: Any) -> Any:
        """One `Identify` call."""
        return await self._call(self._insights.Identify, request)

    async def _call(self, method: Any, request: Any) -> Any:
        return await method(request, metadata=self.metadata, timeout=PATIENCE)

    def _open(self, method: str, request: Any) -> Any:
        serializer: Callable[[Any], bytes] = type(request).SerializeToString
        open_stream: Any = self.channel.unary_stream(f"{_SYNC}/{method}", serializer, None)
        return open_stream(request, metadata=self.metadata)


class RunningEvaluation:
    """A started service and the channels to it."""

    def __init__(self, app: EvaluationApp) -> None:
        self.app = app
        self._channels: list[aio.Channel] = []

    def client(self, secret: str = "", options: ChannelOptions = ()) -> EvaluationClient:
        """A client with a connection of its own."""
        own = ("grpc.use_local_subchannel_pool", 1)
        address = f"127.0.0.1:{self.app.port}"
        channel = aio.insecure_channel(address, options=(own, *options))
        self._channels.append(channel)
        return EvaluationClient(channel, secret)

    async def health(self, wanted: Any) -> None:
        """Returns once the service's health is as wanted."""
        stub: Any = health_pb2_grpc.HealthStub(self.client().channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        async for answer in watch:
            if answer.status == wanted:
                watch.cancel()
                return
        raise AssertionError("the health watch ended")

    async def close_channels(self) -> None:
        """Ends all calls from the callers' side."""
        for channel in self._channels:
            await channel.close()


@asynccontextmanager
async def running_evaluation(
    store: Store,
    bus: Bus,
    timing: Timing | None = None,
    *,
    ready: bool = True,
    kind: ServerKind = ServerKind.LOOP,
    port: int = 0,
) -> AsyncIterator[RunningEvaluation]:
    """A started `evaluation`, stopped afterwards."""
    app = EvaluationApp(settings(timing or Timing(), kind, port), store, bus)
    await app.start()
    running = RunningEvaluation(app)
    try:
        if ready:
            await running.health(SERVING)
        yield running
    finally:
        await running.close_channels()
        await app.stop()
        assert not app.tasks.crashed.is_set()


async def new_sdk_key(store: Store, environment_id: str, kind: SdkKeyKind) -> tuple[str, str]:
    """The secret and the id of a new SDK key."""
    secret = new_secret("fms" if kind is SdkKeyKind.SERVER else "fmc")
    key = await make_sdk_key(store, environment_id, hash_secret(secret), kind)
    return secret, key.meta.id


def now_ms() -> int:
    """The clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
