from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator

import grpc
import pytest

from featmesh import Client, ErrorKind, Status
from featmesh.client.timing import Timing
from featmesh.engine import Segment, ValueType
from featmesh.sync.v1 import sync_pb2

from .frames import ADA, definitions, flag, full, goodbye, patch
from .stage import LIMIT, RecordedWaits, Stage, Stream, quick_options


class Changes:
    """Collects what a client announces."""

    def __init__(self, client: Client) -> None:
        self._seen: queue.Queue[frozenset[str]] = queue.Queue(100)
        self.unsubscribe = client.on_change(self._seen.put)

    def next(self) -> frozenset[str]:
        return self._seen.get(timeout=LIMIT)


@pytest.fixture
def client(stage: Stage) -> Iterator[Client]:
    with Client(stage.address, "server-key", options=quick_options()) as running:
        yield running


def ready(stage: Stage, client: Client, *frames: sync_pb2.SyncDefinitionsResponse) -> Stream:
    stream = stage.next_stream()
    stream.send(*frames)
    assert client.wait_until_ready(LIMIT)
    return stream


def test_a_client_is_ready_with_its_first_change_set(stage: Stage, client: Client) -> None:
    stream = stage.next_stream()
    assert client.status is Status.INITIALIZING
    detail = client.boolean_detail("dark", ADA, default=True)
    assert (detail.value, detail.error_kind) == (True, ErrorKind.CLIENT_NOT_READY)
    stream.send(full(5, flag("dark")))
    assert client.wait_until_ready(LIMIT)
    assert (client.status, client.revision) == (Status.READY, 5)
    assert client.boolean_value("dark", ADA, default=False)
    assert stream.authorization == "Bearer server-key"
    assert stream.request.resume.revision == 0
    assert stream.request.sdk.name == "featmesh-python"


def test_an_empty_environment_is_ready_and_has_no_flags(stage: Stage, client: Client) -> None:
    ready(stage, client, full(0))
    detail = client.boolean_detail("dark", ADA, default=True)
    assert detail.error_kind is ErrorKind.FLAG_NOT_FOUND


def test_every_detail_says_which_revision_answered(stage: Stage, client: Client) -> None:
    assert client.boolean_detail("dark", ADA, default=True).revision == 0
    stream = ready(stage, client, full(5, flag("dark", revision=3)))
    changes = Changes(client)
    served = client.boolean_detail("dark", ADA, default=False)
    assert (served.revision, served.flag_revision) == (5, 3)
    assert client.string_detail("dark", ADA, default="").revision == 5, "of another type"
    assert client.boolean_detail("none", ADA, default=False).revision == 5, "not there"
    stream.send(patch(6, flag("other", revision=6)))
    changes.next()
    served = client.boolean_detail("dark", ADA, default=False)
    assert (served.revision, served.flag_revision) == (6, 3)


def test_a_change_in_parts_is_applied_at_its_last_part_as_a_whole(
    stage: Stage, client: Client
) -> None:
    changes = Changes(client)
    stream = ready(stage, client, full(1, flag("one", value=False), flag("two", value=False)))
    assert changes.next() == {"one", "two"}
    kind = sync_pb2.CHANGE_KIND_PATCH
    seen: list[bool] = []
    client.on_change(lambda _: seen.append(client.boolean_value("one", ADA, default=False)))
    stream.send(definitions(kind, 2, flag("one", revision=2), last=False))
    assert (client.revision, client.boolean_value("one", ADA, default=True)) == (1, False)
    stream.send(definitions(kind, 2, flag("two", revision=2), part=1))
    assert changes.next() == {"one", "two"}
    assert client.revision == 2
    assert seen == [True]


def test_a_segments_change_announces_the_flags_that_use_it(stage: Stage, client: Client) -> None:
    changes = Changes(client)
    first = full(1, Segment("s", "s"), flag("members", segment="s"), flag("other"))
    stream = ready(stage, client, first)
    changes.next()
    stream.send(patch(2, Segment("s", "s", included=("ada",), revision=2)))
    assert changes.next() == {"members"}
    assert client.boolean_value("members", ADA, default=False)


def test_an_unsubscribed_or_failing_listener_harms_nobody(
    stage: Stage, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(keys: frozenset[str]) -> None:
        raise ValueError(sorted(keys))

    gone = Changes(client)
    gone.unsubscribe()
    client.on_change(fail)
    changes = Changes(client)
    stream = ready(stage, client, full(1, flag("dark")))
    changes.next()
    stream.send(patch(2, flag("dark", revision=2)))
    assert changes.next() == {"dark"}
    assert caplog.text.count("a change listener failed") == 2
    with pytest.raises(queue.Empty):
        gone._seen.get_nowait()


def test_a_reconnect_resumes_from_the_revision_that_is_held(stage: Stage, client: Client) -> None:
    stream = ready(stage, client, full(7, flag("dark")))
    stream.end()
    again = stage.next_stream()
    assert again.request.resume.revision == 7
    assert client.status is Status.STALE
    assert client.boolean_value("dark", ADA, default=False)


def test_half_a_change_is_forgotten_with_its_stream(stage: Stage, client: Client) -> None:
    changes = Changes(client)
    stream = ready(stage, client, full(1, flag("dark")))
    changes.next()
    kind = sync_pb2.CHANGE_KIND_PATCH
    stream.send(definitions(kind, 2, flag("lost", revision=2), last=False))
    stream.end()
    stage.next_stream().send(patch(3, flag("new", revision=3)))
    assert changes.next() == {"new"}
    assert client.string_detail("lost", ADA, "").error_kind is ErrorKind.FLAG_NOT_FOUND


@pytest.mark.parametrize(
    "frame",
    [
        definitions(sync_pb2.CHANGE_KIND_PATCH, 9, part=4),
        definitions(sync_pb2.CHANGE_KIND_UNSPECIFIED, 9),
        patch(2),
    ],
    ids=["part-out-of-order", "unknown-kind", "back-in-time"],
)
def test_a_contradiction_starts_over_from_nothing_and_still_serves(
    stage: Stage, client: Client, frame: sync_pb2.SyncDefinitionsResponse
) -> None:
    ready(stage, client, full(7, flag("dark"))).send(frame)
    again = stage.next_stream()
    assert again.request.resume.revision == 0
    assert client.boolean_value("dark", ADA, default=False)
    again.send(full(8, flag("dark", revision=8)))
    again.end()
    assert stage.next_stream().request.resume.revision == 8


def test_goodbyes_hint_overrides_the_back_off(stage: Stage) -> None:
    waits = RecordedWaits()
    options = quick_options()
    with Client(stage.address, "key", options=options, timing=waits.timing(random=0.25)) as client:
        ready(stage, client, full(1), goodbye(120, jitter_ms=40))
        stage.next_stream()
    assert 0.130 in waits.seconds


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED]
)
def test_a_refused_key_backs_off_further_and_never_gives_up(
    stage: Stage, code: grpc.StatusCode, caplog: pytest.LogCaptureFixture
) -> None:
    waits = RecordedWaits()
    for _ in range(6):
        stage.refusals.put(code)
    options = quick_options(backoff_refused=0.2)
    with Client(stage.address, "key", options=options, timing=waits.timing(random=1.0)) as client:
        for _ in range(6):
            stage.next_stream()
        ready(stage, client, full(1))
    assert [wait for wait in waits.seconds if wait < 1][:6] == [
        pytest.approx(wait) for wait in (0.01, 0.02, 0.04, 0.08, 0.16, 0.2)
    ]
    assert caplog.text.count("the stream is down") == 1


def test_the_status_is_stale_when_no_frame_came_for_too_long(stage: Stage) -> None:
    now = [1_000.0]
    timing = Timing(monotonic=lambda: now[0])
    with Client(stage.address, "key", options=quick_options(), timing=timing) as client:
        ready(stage, client, full(1))
        seen = []
        for seconds in (89, 2):
            now[0] += seconds
            seen.append(client.status)
    assert seen == [Status.READY, Status.STALE]


def test_typed_getters_give_the_default_for_another_type(stage: Stage, client: Client) -> None:
    number = flag("number", 2.5, value_type=ValueType.NUMBER)
    text = flag("text", "hello", value_type=ValueType.STRING)
    layout = flag("json", '{"steps": [1]}', value_type=ValueType.JSON)
    ready(stage, client, full(1, flag("bool"), number, text, layout))
    assert client.number_value("number", ADA, 0) == 2.5
    assert client.string_value("text", ADA, "") == "hello"
    assert client.json_value("json", ADA, None) == {"steps": [1]}
    for detail in (
        client.boolean_detail("text", ADA, default=True),
        client.string_detail("json", ADA, "default"),
        client.number_detail("bool", ADA, 1),
        client.json_detail("text", ADA, []),
    ):
        assert detail.error_kind is ErrorKind.TYPE_MISMATCH
        assert detail.value in (True, "default", 1, [])
    assert client.all_flags(ADA) == {
        "bool": True,
        "number": 2.5,
        "text": "hello",
        "json": {"steps": [1]},
    }


def test_a_json_value_may_be_changed_by_its_caller(stage: Stage, client: Client) -> None:
    ready(stage, client, full(1, flag("json", "[1]", value_type=ValueType.JSON)))
    mine = client.json_value("json", ADA, [])
    assert isinstance(mine, list)
    mine.append(2)
    assert client.json_value("json", ADA, []) == [1]


def test_closing_ends_every_thread_and_still_serves(stage: Stage) -> None:
    before = set(threading.enumerate())
    client = Client(stage.address, "key", options=quick_options())
    ready(stage, client, full(1, flag("dark")))
    client.close()
    client.close()
    ours = {thread for thread in set(threading.enumerate()) - before if "featmesh" in thread.name}
    assert not ours
    assert client.status is Status.CLOSED
    assert not client.wait_until_ready(0)
    assert client.boolean_value("dark", ADA, default=False)


def test_a_client_without_a_server_answers_with_defaults_and_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    with Client("127.0.0.1:1", "key", options=quick_options()) as client:
        assert not client.wait_until_ready(0.05)
        assert client.string_value("any", ADA, "default") == "default"
        client.close(timeout=0.05)


@pytest.mark.parametrize(
    ("address", "key"), [("", "key"), ("host", "key"), ("h:1", ""), ("h:1", "a b")]
)
def test_an_address_or_key_that_cannot_be_one_is_refused(address: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"address must be|sdk_key must be"):
        Client(address, key)
