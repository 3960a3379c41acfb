"""What the server is told of the revision that is applied, with a clock that the test moves."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import grpc
import pytest

from featmesh.client.events import EventBuffer
from featmesh.client.options import Options
from featmesh.client.sender import EventSender
from featmesh.insights.v1 import insights_pb2

from .frames import ADA
from .moved_clock import MovedClock
from .stage import LIMIT

EVENTS = "featmesh-events"


class Away(grpc.RpcError):
    """What a call to a server that is away raises."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def trailing_metadata(self) -> tuple[()]:
        return ()


class Playing:
    """A sender whose batches the test takes."""

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.revision = 0
        self.is_away = False
        self.batches: queue.Queue[insights_pb2.TrackRequest] = queue.Queue(100)
        self.buffer = EventBuffer(capacity=10, known_users=10)
        self.sender = EventSender(
            buffer=self.buffer,
            track=self._track,
            revision=lambda: self.revision,
            options=Options(),
            timing=self.clock.timing(),
        )

    def _track(
        self, batch: insights_pb2.TrackRequest, _timeout: float
    ) -> insights_pb2.TrackResponse:
        self.batches.put(insights_pb2.TrackRequest.FromString(batch.SerializeToString()))
        if self.is_away:
            raise Away
        return insights_pb2.TrackResponse()

    def pass_seconds(self, seconds: int) -> None:
        """Lets the sender wake as often as it does in so many seconds."""
        for _ in range(seconds // 5):
            assert self.clock.next_wait(EVENTS) == 5
            self.clock.advance(5)
            assert self.sender.flush(LIMIT)


@pytest.fixture
def playing() -> Iterator[Playing]:
    playing = Playing()
    playing.sender.start()
    yield playing
    playing.sender.stop()
    playing.sender.join(LIMIT)


def test_an_idle_client_reports_its_revision_every_30_seconds(playing: Playing) -> None:
    playing.revision = 7
    playing.pass_seconds(25)
    assert playing.batches.empty()
    playing.pass_seconds(5)
    batch = playing.batches.get(timeout=LIMIT)
    assert batch.applied_revision == 7
    assert batch.batch_id
    assert not batch.users
    playing.pass_seconds(30)
    assert playing.batches.get(timeout=LIMIT).batch_id != batch.batch_id


def test_events_are_a_report_too(playing: Playing) -> None:
    playing.revision = 7
    playing.pass_seconds(20)
    playing.buffer.add_user(ADA)
    playing.pass_seconds(5)
    assert playing.batches.get(timeout=LIMIT).users
    playing.pass_seconds(25)
    assert playing.batches.empty()


def test_a_client_that_holds_nothing_reports_nothing(playing: Playing) -> None:
    playing.pass_seconds(60)
    assert playing.batches.empty()


def test_a_batch_that_waited_through_an_outage_says_what_time_it_is_now(playing: Playing) -> None:
    """Else the server would take an hour's wait for a clock that is an hour behind."""
    playing.is_away = True
    playing.buffer.add_user(ADA)
    playing.clock.next_wait(EVENTS)
    playing.clock.advance(5)
    first = playing.batches.get(timeout=LIMIT)
    playing.clock.next_wait(EVENTS)
    playing.is_away = False
    playing.clock.advance(3_600)
    second = playing.batches.get(timeout=LIMIT)
    assert second.batch_id == first.batch_id
    assert second.sent_at_ms - first.sent_at_ms == 3_600_000
