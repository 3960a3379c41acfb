from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from featmesh import Client, Context
from featmesh.client.backoff import Backoff
from featmesh.client.batches import MAX_BATCH_BYTES, build_batches
from featmesh.client.events import EvaluationKey, EventBuffer, EventKind, Metric, Tally
from featmesh.client.options import Options
from featmesh.client.sender import EventSender
from featmesh.insights.v1 import insights_pb2

from .frames import ADA, flag, full, result
from .stage import LIMIT, RecordedWaits, Stage, quick_options

SENT_AT_MS = 1


def buffer(capacity: int = 100, known_users: int = 100) -> EventBuffer:
    return EventBuffer(capacity=capacity, known_users=known_users)


def test_equal_evaluations_are_one_event_with_a_count_and_times() -> None:
    events = buffer()
    for now_ms in (10, 30, 20):
        events.add_evaluation(ADA, result("dark", value=True), now_ms)
    events.add_evaluation(ADA, result("dark", value=True, revision=2), 40)
    held = events.drain()
    key = EvaluationKey("ada", "dark", "v", 1, in_experiment=False)
    assert held.evaluations[key] == Tally(3, 10, 30)
    assert len(held.evaluations) == 2
    assert list(held.users) == ["ada"]
    assert events.drain().is_empty


def test_beyond_its_capacity_a_buffer_drops_and_counts_but_still_tallies() -> None:
    events = buffer(capacity=3)
    events.add_evaluation(ADA, result("dark", value=True), 1)
    events.add_metric(ADA, Metric("m", "ada", 1, 1))
    events.add_metric(ADA, Metric("m", "ada", 1, 1))
    events.add_evaluation(ADA, result("dark", value=True), 2)
    events.add_evaluation(ADA, result("other", value=True), 2)
    held = events.drain()
    assert (len(held), held.dropped) == (3, 2)
    assert [tally.count for tally in held.evaluations.values()] == [2]


def test_a_user_is_sent_once_and_again_when_it_changes_or_was_forgotten() -> None:
    events = buffer(known_users=2)

    def sent(context: Context) -> bool:
        events.add_user(context)
        return context.key in events.drain().users

    assert sent(ADA)
    assert not sent(Context("ada"))
    assert sent(Context("ada", attributes={"age": 7.0}))
    assert sent(Context("bob"))
    assert sent(Context("cleo"))
    assert sent(Context("ada", attributes={"age": 7.0}))


def test_a_flush_is_cut_into_batches_within_the_servers_limits() -> None:
    events = buffer(capacity=100_000, known_users=100_000)
    for number in range(2_500):
        events.add_user(Context(f"user-{number}", attributes={"note": "x" * 1_000}))
    for number in range(12_000):
        events.add_metric(ADA, Metric("m", f"user-{number}", 1, 1))
    events.add_dropped(5)
    batches = build_batches(events.drain(), SENT_AT_MS)
    assert sum(len(batch.users) for batch in batches) == 2_501
    assert sum(len(batch.metrics) for batch in batches) == 12_000
    assert max(len(batch.users) for batch in batches) <= 1_000
    assert max(len(batch.metrics) for batch in batches) <= 10_000
    assert max(batch.ByteSize() for batch in batches) <= MAX_BATCH_BYTES + 1_000
    assert len({batch.batch_id for batch in batches}) == len(batches)
    assert [batch.dropped_events for batch in batches] == [5] + [0] * (len(batches) - 1)


def test_a_user_that_cannot_be_written_is_dropped_alone() -> None:
    events = buffer()
    events.add_user(Context("bad", attributes={"number": float(1)}, name="\ud800"))
    events.add_user(ADA)
    (batch,) = build_batches(events.drain(), SENT_AT_MS)
    assert [user.key for user in batch.users] == ["ada"]
    assert batch.dropped_events == 1


def test_each_wait_is_below_a_bound_that_doubles_up_to_its_maximum() -> None:
    worst = Backoff(first=1, maximum=30, random=lambda: 1.0)
    assert [worst.next_delay() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert worst.next_delay(maximum=300) == 128
    worst.reset()
    assert worst.next_delay() == 1
    assert Backoff(first=1, maximum=30, random=lambda: 0.0).next_delay() == 0


def test_every_fault_of_the_options_is_reported_together() -> None:
    with pytest.raises(ValueError, match=r"tls must be .*flush_interval must be .*event_capacity"):
        Options(tls=b"", flush_interval=0, event_capacity=-1)
    with pytest.raises(ValueError, match="backoff_first <= backoff_maximum"):
        Options(backoff_first=40)


@pytest.fixture
def waits() -> RecordedWaits:
    return RecordedWaits()


@pytest.fixture
def client(stage: Stage, waits: RecordedWaits) -> Iterator[Client]:
    with Client(stage.address, "key", options=quick_options(), timing=waits.timing()) as running:
        stage.next_stream().send(full(4, flag("dark")))
        assert running.wait_until_ready(LIMIT)
        yield running


def test_a_batch_is_sent_again_with_the_same_id_until_it_is_taken(
    stage: Stage, client: Client, waits: RecordedWaits
) -> None:
    stage.track_failures.put((grpc.StatusCode.UNAVAILABLE, None))
    stage.track_failures.put((grpc.StatusCode.RESOURCE_EXHAUSTED, "123"))
    client.boolean_value("dark", ADA, default=False)
    assert client.flush(LIMIT)
    batches = [stage.next_batch() for _ in range(3)]
    for batch in batches:
        batch.ClearField("sent_at_ms")
        batch.ClearField("applied_age_ms")  # it is older each time
    assert batches[0] == batches[1] == batches[2]
    assert batches[0].evaluations[0].count == 1
    assert batches[0].applied_revision == 4
    assert 0.123 in waits.seconds


def test_a_batch_that_a_stopping_server_cancels_is_sent_again(stage: Stage, client: Client) -> None:
    stage.track_failures.put((grpc.StatusCode.CANCELLED, None))
    client.track("bought", Context("bob"))
    assert client.flush(LIMIT)
    first, second = stage.next_batch(), stage.next_batch()
    assert first.batch_id == second.batch_id
    assert second.dropped_events == 0


def test_a_batch_that_is_refused_is_dropped_counted_and_logged_once(
    stage: Stage, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        stage.track_failures.put((grpc.StatusCode.INVALID_ARGUMENT, None))
        client.track("bought", Context("bob"))
        assert client.flush(LIMIT)
    assert caplog.text.count("events are refused and dropped") == 1
    client.track("bought", Context("bob"))
    assert client.flush(LIMIT)
    batches = [stage.next_batch() for _ in range(3)]
    assert [batch.dropped_events for batch in batches] == [0, 2, 3]


def test_closing_sends_what_the_buffer_holds(stage: Stage, client: Client) -> None:
    client.identify(ADA)
    client.close(LIMIT)
    assert [user.key for user in stage.next_batch().users] == ["ada"]


def test_closing_does_not_wait_longer_than_it_may_for_a_server_that_refuses(
    stage: Stage, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    stage.track_failures.put((grpc.StatusCode.UNAVAILABLE, "300000"))
    client.identify(ADA)
    client.close(timeout=0.1)
    assert "1 events were not sent" in caplog.text


def test_a_metric_event_beyond_its_limits_is_dropped_and_counted(
    stage: Stage, client: Client
) -> None:
    client.track("", ADA)
    client.track("bought", ADA, float("nan"))
    client.track("bought", Context(""))
    client.track("bought", Context("\ud800"))
    client.track("bought", ADA, kind="CLICK")  # type: ignore[arg-type]
    client.track("good", ADA)
    assert client.flush(LIMIT)
    batch = stage.next_batch()
    assert (batch.dropped_events, [metric.name for metric in batch.metrics]) == (5, ["good"])


def test_a_metric_event_says_what_kind_it_is(stage: Stage, client: Client) -> None:
    client.track("bought", ADA, 9.5)
    client.track("/checkout", ADA, kind=EventKind.PAGE_VIEW)
    client.track("buy-button", ADA, kind=EventKind.CLICK)
    assert client.flush(LIMIT)
    kind = insights_pb2.MetricKind
    assert [(each.name, each.kind, each.value) for each in stage.next_batch().metrics] == [
        ("bought", kind.METRIC_KIND_CUSTOM, 9.5),
        ("/checkout", kind.METRIC_KIND_PAGE_VIEW, 1.0),
        ("buy-button", kind.METRIC_KIND_CLICK, 1.0),
    ]


def test_what_a_fault_of_ours_loses_is_counted_with_the_next_batch(
    stage: Stage, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: EventSender, __: insights_pb2.TrackRequest) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as broken:
        broken.setattr(EventSender, "_attempt", fail)
        client.track("bought", ADA)
        assert client.flush(LIMIT)
    client.track("bought", ADA)
    assert client.flush(LIMIT)
    lost = 2  # the event, and the user that came with it
    assert stage.next_batch().dropped_events == lost
