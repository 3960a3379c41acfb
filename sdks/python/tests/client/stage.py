"""An evaluation service on a real socket whose streams a test plays by hand."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from featmesh.client import Options
from featmesh.client.timing import Timing
from featmesh.insights.v1 import insights_pb2
from featmesh.insights.v1.insights_pb2_grpc import (
    InsightsServiceServicer,
    add_InsightsServiceServicer_to_server,
)
from featmesh.sync.v1 import sync_pb2
from featmesh.sync.v1.sync_pb2_grpc import (
    SyncServiceServicer,
    add_SyncServiceServicer_to_server,
)

LIMIT = 10.0
"""Seconds that any test waits for what must happen."""

Request = sync_pb2.SyncDefinitionsRequest | sync_pb2.SyncEvaluationsRequest
Response = sync_pb2.SyncDefinitionsResponse | sync_pb2.SyncEvaluationsResponse


@dataclass
class Stream:
    """One stream that a client opened."""

    request: Request
    authorization: str
    outgoing: queue.Queue[Response | None] = field(default_factory=lambda: queue.Queue(100))

    def send(self, *frames: Response) -> None:
        for frame in frames:
            self.outgoing.put(frame, timeout=LIMIT)

    def end(self) -> None:
        self.outgoing.put(None, timeout=LIMIT)

    @property
    def resume(self) -> sync_pb2.ResumeToken | None:
        """The token that it was opened with."""
        return self.request.resume if self.request.HasField("resume") else None

    @property
    def context_key(self) -> str:
        assert isinstance(self.request, sync_pb2.SyncEvaluationsRequest)
        return self.request.context.key

    def frames(self, context: grpc.ServicerContext) -> Iterator[Response]:
        if not context.add_callback(self.end):
            return  # it has ended before it began
        while (frame := self.outgoing.get(timeout=LIMIT)) is not None:
            yield frame


@dataclass
class Stage(SyncServiceServicer, InsightsServiceServicer):
    address: str = ""
    first_frame: Callable[[Request], Response] | None = None
    """Answers every stream at once, where a test does not play each by hand."""
    opened: queue.Queue[Stream] = field(default_factory=lambda: queue.Queue(100))
    refusals: queue.Queue[grpc.StatusCode] = field(default_factory=lambda: queue.Queue(100))
    tracked: queue.Queue[insights_pb2.TrackRequest] = field(
        default_factory=lambda: queue.Queue(100)
    )
    track_failures: queue.Queue[tuple[grpc.StatusCode, str | None]] = field(
        default_factory=lambda: queue.Queue(100)
    )

    def next_stream(self) -> Stream:
        return self.opened.get(timeout=LIMIT)

    def next_batch(self) -> insights_pb2.TrackRequest:
        return self.tracked.get(timeout=LIMIT)

    def SyncDefinitions(  # noqa: N802 - the contract's name
        self, request: sync_pb2.SyncDefinitionsRequest, context: grpc.ServicerContext
    ) -> Iterator[sync_pb2.SyncDefinitionsResponse]:
        for frame in self._play(request, context):
            assert isinstance(frame, sync_pb2.SyncDefinitionsResponse)
            yield frame

    def SyncEvaluations(  # noqa: N802 - the contract's name
        self, request: sync_pb2.SyncEvaluationsRequest, context: grpc.ServicerContext
    ) -> Iterator[sync_pb2.SyncEvaluationsResponse]:
        for frame in self._play(request, context):
            assert isinstance(frame, sync_pb2.SyncEvaluationsResponse)
            yield frame

    def Track(  # noqa: N802 - the contract's name
        self, request: insights_pb2.TrackRequest, context: grpc.ServicerContext
    ) -> insights_pb2.TrackResponse:
        self.tracked.put(request, timeout=LIMIT)
        try:
            code, pushback = self.track_failures.get_nowait()
        except queue.Empty:
            return insights_pb2.TrackResponse()
        if pushback is not None:
            context.set_trailing_metadata((("grpc-retry-pushback-ms", pushback),))
        context.abort(code, "as the test asked")
        raise AssertionError("abort raises")

    def TrackStream(  # noqa: N802 - the contract's name
        self,
        requests: Iterator[insights_pb2.TrackStreamRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[insights_pb2.TrackStreamResponse]:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "SDKs send batches one by one")
        raise AssertionError("abort raises")

    def Identify(  # noqa: N802 - the contract's name
        self, request: insights_pb2.IdentifyRequest, context: grpc.ServicerContext
    ) -> insights_pb2.IdentifyResponse:
        return insights_pb2.IdentifyResponse()

    def _play(self, request: Request, context: grpc.ServicerContext) -> Iterator[Response]:
        authorization = str(dict(context.invocation_metadata())["authorization"])
        stream = Stream(request, authorization)
        if self.first_frame is None:
            self.opened.put(stream, timeout=LIMIT)
        else:
            stream.send(self.first_frame(request))
        try:
            code = self.refusals.get_nowait()
        except queue.Empty:
            return stream.frames(context)
        context.abort(code, "as the test asked")
        raise AssertionError("abort raises")


@contextmanager
def running_stage() -> Iterator[Stage]:
    stage = Stage()
    with ThreadPoolExecutor(32) as workers:  # each open stream keeps one
        server = grpc.server(workers)
        add_SyncServiceServicer_to_server(stage, server)
        add_InsightsServiceServicer_to_server(stage, server)
        stage.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield stage
        finally:
            server.stop(None).wait()


def quick_options(**changed: object) -> Options:
    """Back-off in milliseconds, so that a test that reconnects ends soon."""
    settings: dict[str, object] = {
        "flush_interval": 600.0,
        "backoff_first": 0.01,
        "backoff_maximum": 0.02,
        "backoff_refused": 0.03,
    }
    return Options(**{**settings, **changed})  # type: ignore[arg-type] # it checks them itself


@dataclass
class RecordedWaits:
    """A timing that waits as asked and remembers for how long."""

    seconds: list[float] = field(default_factory=list)

    def timing(self, *, random: float = 0.5) -> Timing:
        def wait(event: object, seconds: float) -> bool:
            self.seconds.append(seconds)
            return Timing().wait(event, seconds)  # type: ignore[arg-type] # the same callable

        return Timing(random=lambda: random, wait=wait)
