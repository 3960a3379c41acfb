"""What the server is told of the revision that is applied, with a clock that the test moves."""

from __future__ import annotations

import queue
import uuid
from collections.abc import Iterator

import grpc
import pytest

from featmesh import Client
from featmesh.client.events import EventBuffer
from featmesh.client.options import Options
from featmesh.client.sender import EventSender
from featmesh.client.stream import NOTHING, Applied
from featmesh.insights.v1 import insights_pb2

from .frames import ADA, flag, full
from .moved_clock import MovedClock
from .stage import LIMIT, Request, Response, Stage, quick_options

EVENTS = "featmesh-events"


class Refused(grpc.RpcError):
    """What a call raises that fails."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "as the test asked"

    def trailing_metadata(self) -> tuple[()]:
        return ()


class Playing:
    """A sender whose batches the test takes."""

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.applied = NOTHING
        self.failures: list[Refused] = []
        self.batches: queue.Queue[insights_pb2.TrackRequest] = queue.Queue(100)
        self.buffer = EventBuffer(capacity=10, known_users=10)
        self.sender = EventSender(
            buffer=self.buffer,
            track=self._track,
            applied=lambda: self.applied,
            options=Options(),
            timing=self.clock.timing(),
        )

    def _track(
        self, batch: insights_pb2.TrackRequest, _timeout: float
    ) -> insights_pb2.TrackResponse:
        self.batches.put(insights_pb2.TrackRequest.FromString(batch.SerializeToString()))
        if self.failures:
            raise self.failures.pop()
        return insights_pb2.TrackResponse()

    def apply(self, revision: int) -> None:
        self.applied = Applied(revision, self.clock.timing().monotonic())

    def take(self) -> insights_pb2.TrackRequest:
        return self.batches.get(timeout=LIMIT)

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


def test_a_revision_is_reported_at_the_first_flush_after_it_was_applied(playing: Playing) -> None:
    playing.apply(7)
    playing.pass_seconds(5)
    batch = playing.take()
    assert (batch.applied_revision, batch.applied_age_ms) == (7, 5_000)
    assert batch.batch_id
    assert not batch.users
    playing.apply(8)
    playing.pass_seconds(5)
    assert playing.take().applied_revision == 8


def test_an_idle_client_reports_its_revision_every_30_seconds(playing: Playing) -> None:
    playing.apply(7)
    playing.pass_seconds(5)
    first = playing.take()
    playing.pass_seconds(25)
    assert playing.batches.empty()
    playing.pass_seconds(5)
    again = playing.take()
    assert (again.applied_revision, again.applied_age_ms) == (7, 35_000)
    assert again.batch_id != first.batch_id


def test_events_are_a_report_too(playing: Playing) -> None:
    playing.apply(7)
    playing.buffer.add_user(ADA)
    playing.pass_seconds(5)
    batch = playing.take()
    assert (len(batch.users), batch.applied_revision) == (1, 7)
    playing.pass_seconds(25)
    assert playing.batches.empty()


def test_a_client_that_holds_nothing_reports_nothing(playing: Playing) -> None:
    playing.pass_seconds(60)
    assert playing.batches.empty()


def test_a_batch_that_waited_through_an_outage_says_what_time_it_is_now(playing: Playing) -> None:
    """Else the server would take an hour's wait for a clock that is an hour behind."""
    playing.failures = [Refused()]
    playing.buffer.add_user(ADA)
    playing.clock.next_wait(EVENTS)
    playing.clock.advance(5)
    first = playing.batches.get(timeout=LIMIT)
    playing.clock.next_wait(EVENTS)
    playing.clock.advance(3_600)
    second = playing.batches.get(timeout=LIMIT)
    assert second.batch_id == first.batch_id
    assert second.sent_at_ms - first.sent_at_ms == 3_600_000


def test_a_report_that_fails_is_said_again_later_and_keeps_no_flush_waiting(
    playing: Playing,
) -> None:
    playing.failures = [Refused()]
    playing.apply(7)
    playing.pass_seconds(5)
    failed = playing.take()
    playing.pass_seconds(5)
    again = playing.take()
    assert again.batch_id != failed.batch_id
    assert (again.applied_revision, again.applied_age_ms) == (7, 10_000)


def test_whoever_sends_no_events_still_reports(stage: Stage) -> None:
    clock = MovedClock()
    options = quick_options(send_events=False, flush_interval=5.0)
    with Client(stage.address, "key", options=options, timing=clock.timing()) as client:
        stage.next_stream().send(full(4, flag("dark")))
        assert client.wait_until_ready(LIMIT)
        client.boolean_value("dark", ADA, default=False)
        client.identify(ADA)
        client.track("bought", ADA)
        assert clock.next_wait(EVENTS) == 5
        clock.advance(5)
        batch = stage.next_batch()
    assert (batch.applied_revision, batch.dropped_events) == (4, 0)
    assert [*batch.users, *batch.evaluations, *batch.metrics] == []


def test_all_calls_of_a_client_carry_its_instance_id_and_no_other_has_it(stage: Stage) -> None:
    ids = []
    requests: queue.Queue[Request] = queue.Queue(10)

    def answer(request: Request) -> Response:
        requests.put(request)
        return full(4, flag("dark"))

    stage.first_frame = answer
    for _ in range(2):
        with Client(stage.address, "key", options=quick_options()) as client:
            assert client.wait_until_ready(LIMIT)
            assert client.flush(LIMIT)
        ids.append(requests.get(timeout=LIMIT).sdk.instance_id)
        assert stage.next_batch().sdk.instance_id == ids[-1]
    assert len(set(ids)) == 2
    assert all(uuid.UUID(each) for each in ids)


def test_whoever_closes_with_nothing_to_say_reports_nothing(stage: Stage) -> None:
    with Client(stage.address, "key", options=quick_options()) as client:
        stage.next_stream().send(full(4, flag("dark")))
        assert client.wait_until_ready(LIMIT)
    assert stage.tracked.empty()
