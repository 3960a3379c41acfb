"""How a stream ends, and what the client does next: it serves what it holds, always."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import grpc
import pytest

from featmesh import Client, Status
from featmesh.sync.v1 import sync_pb2

from .frames import ADA, definitions, flag, full, patch
from .stage import LIMIT, RecordedWaits, Stage, Stream, quick_options

FUTURE_REASON = 99


def goodbye(reason: int) -> sync_pb2.SyncDefinitionsResponse:
    """As raw bytes, for the message refuses no number but the type checker does."""
    encoded = sync_pb2.Goodbye(reconnect_after_ms=120, jitter_ms=40).SerializeToString()
    message = sync_pb2.Goodbye.FromString(bytes([8, reason]) + encoded)
    return sync_pb2.SyncDefinitionsResponse(goodbye=message)


@pytest.fixture
def waits() -> RecordedWaits:
    return RecordedWaits()


@pytest.fixture
def client(stage: Stage, waits: RecordedWaits) -> Iterator[Client]:
    options = quick_options(backoff_refused=0.2)
    with Client(stage.address, "key", options=options, timing=waits.timing(random=0.25)) as running:
        yield running


def holding(stage: Stage, client: Client, revision: int) -> Stream:
    stream = stage.next_stream()
    stream.send(full(revision, flag("dark")))
    assert client.wait_until_ready(LIMIT)
    return stream


@pytest.mark.parametrize("reason", [*sync_pb2.GoodbyeReason.values(), FUTURE_REASON])
def test_a_goodbye_for_whatever_reason_is_heeded_and_costs_nothing_that_is_held(
    stage: Stage, client: Client, waits: RecordedWaits, reason: int
) -> None:
    """Also for one that only a newer server knows."""
    holding(stage, client, 7).send(goodbye(reason))
    assert stage.next_stream().request.resume.revision == 7
    assert 0.130 in waits.seconds
    assert client.boolean_value("dark", ADA, default=False)


def test_a_client_of_a_deleted_environment_serves_on_and_asks_ever_less_often(
    stage: Stage, client: Client, waits: RecordedWaits, caplog: pytest.LogCaptureFixture
) -> None:
    stream = holding(stage, client, 7)
    for _ in range(8):
        stage.refusals.put(grpc.StatusCode.UNAUTHENTICATED)
    stream.send(goodbye(sync_pb2.GOODBYE_REASON_ENVIRONMENT_DELETED))
    for _ in range(8):
        assert stage.next_stream().request.resume.revision == 7
    assert stage.next_stream().request.resume.revision == 7
    assert max(wait for wait in waits.seconds if wait < 1) == pytest.approx(0.13)
    refused = [0.0025, 0.005, 0.01, 0.02, 0.04, 0.05]
    assert set(refused) <= {round(wait, 6) for wait in waits.seconds}
    assert client.status is Status.STALE
    assert client.boolean_value("dark", ADA, default=False)
    assert caplog.text.count("the stream is down") == 1


def test_a_full_set_of_a_lower_revision_replaces_what_is_held(stage: Stage, client: Client) -> None:
    """The store was restored from a backup; only a patch must not lead back."""
    changed: queue.Queue[frozenset[str]] = queue.Queue(10)
    stream = holding(stage, client, 9)
    client.on_change(changed.put)
    stream.send(full(5, flag("older", revision=5)))
    assert changed.get(timeout=LIMIT) == {"dark", "older"}
    assert client.revision == 5
    assert not client.boolean_value("dark", ADA, default=False)
    stream.send(patch(6, flag("newer", revision=6)))
    assert changed.get(timeout=LIMIT) == {"newer"}
    stream.end()
    assert stage.next_stream().request.resume.revision == 6


def test_the_rest_of_a_broken_change_set_is_not_taken_from_another_stream(
    stage: Stage, client: Client
) -> None:
    stream = holding(stage, client, 7)
    kind = sync_pb2.CHANGE_KIND_PATCH
    stream.send(definitions(kind, 9, flag("first", revision=9), last=False))
    stream.end()
    again = stage.next_stream()
    assert again.request.resume.revision == 7
    again.send(definitions(kind, 9, flag("second", revision=9), part=1))
    anew = stage.next_stream()
    assert anew.request.resume.revision == 0
    assert client.revision == 7
    assert not client.boolean_value("second", ADA, default=False)
    assert client.boolean_value("dark", ADA, default=False)
