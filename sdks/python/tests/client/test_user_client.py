from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest

from featmesh import ClientSideClient, Context, ErrorKind, Options, Status

from .frames import ADA, result, results, token
from .stage import LIMIT, Stage, quick_options


@pytest.fixture
def client(stage: Stage) -> Iterator[ClientSideClient]:
    with ClientSideClient(stage.address, "client-key", ADA, options=quick_options()) as running:
        yield running


def test_it_streams_its_users_results(stage: Stage, client: ClientSideClient) -> None:
    stream = stage.next_stream()
    assert client.boolean_detail("dark", default=True).error_kind is ErrorKind.CLIENT_NOT_READY
    stream.send(results(3, result("dark", value=True), result("text", "hi")))
    assert client.wait_until_ready(LIMIT)
    assert (stream.context_key, client.revision, client.status) == ("ada", 3, Status.READY)
    assert client.boolean_value("dark", default=False)
    assert client.string_value("text", "") == "hi"
    assert client.number_detail("text", 1).error_kind is ErrorKind.TYPE_MISMATCH
    assert client.string_detail("none", "").error_kind is ErrorKind.FLAG_NOT_FOUND
    assert client.all_flags() == {"dark": True, "text": "hi"}


def test_every_detail_says_which_revision_answered(stage: Stage, client: ClientSideClient) -> None:
    assert client.boolean_detail("dark", default=False).revision == 0
    stage.next_stream().send(results(3, result("dark", value=True, revision=2)))
    assert client.wait_until_ready(LIMIT)
    served = client.boolean_detail("dark", default=False)
    assert (served.revision, served.flag_revision) == (3, 2)
    assert client.boolean_detail("none", default=False).revision == 3


def test_another_user_is_served_when_its_first_results_are_complete(
    stage: Stage, client: ClientSideClient
) -> None:
    stage.next_stream().send(results(3, result("dark", value=True), result("same", "x")))
    assert client.wait_until_ready(LIMIT)
    changes: queue.Queue[frozenset[str]] = queue.Queue(10)
    client.on_change(changes.put)
    assert not client.identify(Context("bob"), timeout=0)
    stream = stage.next_stream()
    assert (stream.context_key, stream.request.resume.revision) == ("bob", 0)
    assert client.boolean_value("dark", default=False)
    stream.send(results(3, result("dark", value=False), result("same", "x")))
    assert changes.get(timeout=LIMIT) == {"dark"}
    assert not client.boolean_value("dark", default=True)
    assert client.context.key == "bob"


def test_a_user_resumes_with_the_token_of_what_is_held_for_it(
    stage: Stage, client: ClientSideClient
) -> None:
    stream = stage.next_stream()
    assert stream.resume is None
    stream.send(results(3, result("dark", value=True)))
    stream.end()
    assert stage.next_stream().resume == token(3)


def test_the_last_of_several_users_wins(stage: Stage, client: ClientSideClient) -> None:
    stage.next_stream()
    for key in ("bob", "cleo"):
        client.identify(Context(key), timeout=0)
        assert stage.next_stream().context_key == key
    assert not client.wait_until_ready(0)
    client.identify(Context("dora"), timeout=0)
    stage.next_stream().send(results(1, result("dark", value=True)))
    assert client.wait_until_ready(LIMIT)
    assert client.context.key == "dora"


def test_its_events_are_the_results_that_it_served(stage: Stage, client: ClientSideClient) -> None:
    stage.next_stream().send(results(3, result("dark", value=True, revision=2)))
    assert client.wait_until_ready(LIMIT)
    for _ in range(3):
        client.boolean_value("dark", default=False)
    client.track("bought", 9.5)
    assert client.flush(LIMIT)
    batch = stage.next_batch()
    (event,), (metric,), (user,) = batch.evaluations, batch.metrics, batch.users
    assert (event.flag_key, event.user_key, event.count, event.flag_revision) == (
        "dark",
        "ada",
        3,
        2,
    )
    assert (metric.name, metric.value, user.key) == ("bought", 9.5, "ada")
    assert batch.applied_revision == 3


def test_a_context_without_a_key_is_refused(stage: Stage, client: ClientSideClient) -> None:
    with pytest.raises(ValueError, match="1 to 512 bytes"):
        client.identify(Context(""))


def test_a_values_listener_hears_its_users_old_and_new_value(
    stage: Stage, client: ClientSideClient
) -> None:
    stream = stage.next_stream()
    stream.send(results(1, result("text", "hi"), result("other", "x")))
    assert client.wait_until_ready(LIMIT)
    heard: queue.Queue[tuple[str, str]] = queue.Queue(10)
    client.on_value_change("text", "", lambda old, new: heard.put((old, new)))
    stream.send(results(2, result("text", "hi"), result("other", "y")))
    stream.send(results(3, result("text", "bye"), result("other", "y")))
    assert heard.get(timeout=LIMIT) == ("hi", "bye")
    client.identify(Context("bob"), timeout=0)
    stage.next_stream().send(results(3, result("text", "hello bob")))
    assert heard.get(timeout=LIMIT) == ("bye", "hello bob")


def test_offline_it_serves_defaults_to_whoever_is_identified() -> None:
    with ClientSideClient("", "", ADA, options=Options(offline=True)) as client:
        assert client.wait_until_ready(0)
        assert client.status is Status.OFFLINE
        assert client.identify(Context("bob"))
        assert client.context.key == "bob"
        assert client.string_value("text", "default") == "default"
        client.track("bought")
        assert client.flush(0)
