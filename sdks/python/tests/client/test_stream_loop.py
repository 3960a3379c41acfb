"""The loop on grpcio-testing's channel, with a clock that the test moves."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc_testing
import pytest

from featmesh import Status
from featmesh.client.connection import Connection
from featmesh.client.feeds import DefinitionFeed
from featmesh.client.options import Options
from featmesh.client.status import Freshness
from featmesh.client.store import DefinitionStore
from featmesh.client.stream import SyncLoop
from featmesh.insights.v1.insights_pb2_grpc import InsightsServiceStub
from featmesh.sync.v1 import sync_pb2
from featmesh.sync.v1.sync_pb2_grpc import SyncServiceStub

from .frames import flag, full, goodbye
from .moved_clock import MovedClock
from .stage import LIMIT

METHOD = sync_pb2.DESCRIPTOR.services_by_name["SyncService"].methods_by_name["SyncDefinitions"]
HEARTBEAT = sync_pb2.SyncDefinitionsResponse(heartbeat=sync_pb2.Heartbeat(revision=1))
SYNC = "featmesh-sync"


@dataclass
class Stage:
    """A loop with the far end of its channel in the test's hand."""

    clock: MovedClock
    channel: Any
    freshness: Freshness
    store: DefinitionStore
    statuses: queue.Queue[Status] = field(default_factory=lambda: queue.Queue(100))
    applied: queue.Queue[frozenset[str]] = field(default_factory=lambda: queue.Queue(100))

    def take(self) -> tuple[sync_pb2.SyncDefinitionsRequest, Any]:
        """The stream that the loop opens next."""
        taken: queue.Queue[Any] = queue.Queue(1)
        take = threading.Thread(
            target=lambda: taken.put(self.channel.take_unary_stream(METHOD)), daemon=True
        )
        take.start()
        _metadata, request, rpc = taken.get(timeout=LIMIT)
        rpc.send_initial_metadata(())
        return request, rpc

    def end(self, rpc: Any, code: grpc.StatusCode) -> float:
        """Ends a stream; how long the loop waits then."""
        rpc.terminate((), code, "as the test asked")
        return self.clock.next_wait(SYNC)

    def end_and_pass(self, rpc: Any, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> float:
        """Ends a stream and lets the wait pass."""
        seconds = self.end(rpc, code)
        self.clock.advance(seconds)
        return seconds


@pytest.fixture
def stage() -> Iterator[Stage]:
    clock, store = MovedClock(), DefinitionStore()
    timing, options = clock.timing(), Options()
    channel = grpc_testing.channel(sync_pb2.DESCRIPTOR.services_by_name.values(), None)
    connection = Connection(channel, SyncServiceStub(channel), InsightsServiceStub(channel), ())
    statuses: queue.Queue[Status] = queue.Queue(100)
    freshness = Freshness(staleness=options.staleness, timing=timing, changed=statuses.put)
    playing = Stage(clock, channel, freshness, store, statuses)
    loop = SyncLoop(
        feed=DefinitionFeed(connection, store),
        freshness=freshness,
        applied=playing.applied.put,
        options=options,
        timing=timing,
    )
    loop.start()
    yield playing
    loop.stop()
    loop.join(LIMIT)
    assert not loop.is_running


def test_waits_double_up_to_30_seconds(stage: Stage) -> None:
    waits = [stage.end_and_pass(stage.take()[1]) for _ in range(7)]
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_waits_are_shortened_by_chance(stage: Stage) -> None:
    stage.clock.random_source = 0.25
    assert [stage.end_and_pass(stage.take()[1]) for _ in range(3)] == [0.25, 0.5, 1.0]


def test_waits_start_anew_after_a_stream_that_lasted_60_seconds(stage: Stage) -> None:
    for _ in range(4):
        stage.end_and_pass(stage.take()[1])
    for lasted, wait in ((59, 16), (60, 1)):
        _, rpc = stage.take()
        rpc.send_response(full(1, flag(f"after-{lasted}")))
        stage.applied.get(timeout=LIMIT)
        stage.clock.advance(lasted)
        assert stage.end_and_pass(rpc) == wait


def test_a_goodbye_says_when_to_come_back_and_harms_no_back_off(stage: Stage) -> None:
    stage.clock.random_source = 0.5
    _, rpc = stage.take()
    rpc.send_response(goodbye(after_ms=4_000, jitter_ms=2_000))
    assert stage.clock.next_wait(SYNC) == 5
    stage.clock.advance(5)
    stage.clock.random_source = 1.0
    assert stage.end_and_pass(stage.take()[1]) == 1


def test_a_goodbye_cannot_send_anybody_away_for_longer_than_5_minutes(stage: Stage) -> None:
    stage.take()[1].send_response(goodbye(after_ms=86_400_000))
    assert stage.clock.next_wait(SYNC) == 300


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED]
)
def test_a_refused_key_is_tried_again_after_5_minutes_at_most(
    stage: Stage, code: grpc.StatusCode
) -> None:
    waits = [stage.end_and_pass(stage.take()[1], code) for _ in range(11)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_the_next_stream_asks_for_what_came_after_the_revision_held(stage: Stage) -> None:
    request, rpc = stage.take()
    assert request.resume.revision == 0
    rpc.send_response(full(7, flag("dark")))
    stage.applied.get(timeout=LIMIT)
    stage.end_and_pass(rpc)
    assert stage.take()[0].resume.revision == 7


def test_a_stream_that_went_silent_is_opened_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    _, rpc = stage.take()
    rpc.send_response(full(7, flag("dark")))
    assert stage.statuses.get(timeout=LIMIT) is Status.READY
    assert stage.clock.next_wait("featmesh-watch") == 90
    stage.clock.advance(90)
    assert stage.statuses.get(timeout=LIMIT) is Status.STALE
    stage.clock.advance(stage.clock.next_wait(SYNC))
    request, again = stage.take()
    assert request.resume.revision == 7
    again.send_response(HEARTBEAT)
    assert stage.statuses.get(timeout=LIMIT) is Status.READY
    assert caplog.text.count("nothing came for 90 s") == 1


def test_heartbeats_keep_a_stream_open_and_ready(stage: Stage) -> None:
    _, rpc = stage.take()
    rpc.send_response(full(1, flag("dark")))
    stage.applied.get(timeout=LIMIT)
    for revision in range(2, 6):
        stage.clock.advance(60)
        rpc.send_response(HEARTBEAT)
        rpc.send_response(full(revision, flag("dark", revision=revision)))
        stage.applied.get(timeout=LIMIT)
        assert stage.freshness.status is Status.READY
