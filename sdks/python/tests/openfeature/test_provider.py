from __future__ import annotations

import queue
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails

from featmesh import Client, Reason, Status
from featmesh.client import EvaluationDetail
from featmesh.client.reasons import open_feature_reason
from featmesh.openfeature import FeatMeshProvider
from featmesh.openfeature.contexts import context_from
from featmesh.testing import TestData

# The tests are no package that has a name of its own, so this is the way to them.
from ..client.frames import flag, full, patch  # noqa: TID252 - see above
from ..client.stage import LIMIT, Stage, quick_options, running_stage  # noqa: TID252 - see above

ADA = EvaluationContext("ada")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with running_stage() as running:
        yield running
        api.clear_providers()  # while a server is there: clients send their last events to it


class Events:
    """Collects what a provider announces, in order."""

    def __init__(self, client: Any) -> None:
        self._seen: queue.Queue[tuple[ProviderEvent, EventDetails]] = queue.Queue(100)
        for event in ProviderEvent:
            client.add_handler(event, lambda given, event=event: self._seen.put((event, given)))

    def next(self) -> tuple[ProviderEvent, EventDetails]:
        return self._seen.get(timeout=LIMIT)


def test_a_provider_lives_through_all_of_its_events(stage: Stage) -> None:
    client = Client(stage.address, "key", options=quick_options())
    stream = stage.next_stream()
    stream.send(full(1, flag("dark", value=False)))
    assert client.wait_until_ready(LIMIT)
    provider = FeatMeshProvider(client)
    api.set_provider_and_wait(provider, "life")
    consumer = api.get_client("life")
    events = Events(consumer)
    assert events.next()[0] is ProviderEvent.PROVIDER_READY
    stream.send(patch(2, flag("dark", revision=2)))
    event, given = events.next()
    assert (event, given.flags_changed) == (
        ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
        ["dark"],
    )
    assert consumer.get_boolean_value("dark", False, ADA)
    stream.end()
    assert events.next()[0] is ProviderEvent.PROVIDER_STALE
    assert consumer.get_provider_status() is ProviderStatus.STALE
    assert consumer.get_boolean_value("dark", False, ADA)
    stage.next_stream().send(patch(2))
    assert events.next()[0] is ProviderEvent.PROVIDER_READY
    client.close()
    event, given = events.next()
    assert (event, given.error_code) == (ProviderEvent.PROVIDER_ERROR, ErrorCode.PROVIDER_FATAL)


def test_a_provider_that_gets_no_definitions_is_in_error_until_they_come(stage: Stage) -> None:
    client = Client(stage.address, "key", options=quick_options())
    stream = stage.next_stream()
    with pytest.raises(ProviderNotReadyError):
        api.set_provider_and_wait(FeatMeshProvider(client, ready_timeout=0.01), "late")
    consumer = api.get_client("late")
    assert consumer.get_provider_status() is ProviderStatus.ERROR
    events = Events(consumer)
    assert events.next()[0] is ProviderEvent.PROVIDER_ERROR
    stream.send(full(1, flag("dark")))
    assert events.next()[0] is ProviderEvent.PROVIDER_READY
    assert consumer.get_boolean_value("dark", False, ADA)


def test_tracking_reaches_the_server(stage: Stage) -> None:
    client = Client(stage.address, "key", options=quick_options())
    stage.next_stream().send(full(1, flag("dark")))
    assert client.wait_until_ready(LIMIT)
    api.set_provider_and_wait(FeatMeshProvider(client), "track")
    consumer = api.get_client("track")
    consumer.track("bought", ADA, TrackingEventDetails(49.9))
    consumer.track("seen", ADA)
    assert client.flush(LIMIT)
    batch = stage.next_batch()
    assert [(each.name, each.user_key, each.value) for each in batch.metrics] == [
        ("bought", "ada", 49.9),
        ("seen", "ada", 1.0),
    ]


def test_shutdown_closes_the_client() -> None:
    client = Client.for_testing(TestData())
    api.set_provider_and_wait(FeatMeshProvider(client), "shutdown")
    api.shutdown()
    assert client.status is Status.CLOSED
    api.clear_providers()


def test_a_context_without_or_with_too_long_a_key_is_answered_with_its_error() -> None:
    provider = FeatMeshProvider(Client.for_testing(TestData().set("on", True)))
    for context in (None, EvaluationContext(attributes={"plan": "pro"})):
        found = provider.resolve_boolean_details("on", False, context)
        assert found.error_code is ErrorCode.TARGETING_KEY_MISSING
    found = provider.resolve_boolean_details("on", False, EvaluationContext("x" * 513))
    assert (found.value, found.error_code) == (False, ErrorCode.INVALID_CONTEXT)


async def test_asynchronous_resolution_is_the_same() -> None:
    provider = FeatMeshProvider(Client.for_testing(TestData().set("on", True)))
    assert (await provider.resolve_boolean_details_async("on", False, ADA)).value is True


def test_attributes_become_those_that_rules_read() -> None:
    context = context_from(
        EvaluationContext(
            "ada",
            {
                "name": "Ada",
                "since": datetime(2024, 1, 2, tzinfo=UTC),
                "tags": ["a", 1, True, {"no": 1}],
                "nested": {"no": 1},
                "age": 36,
            },
        ),
        "",
    )
    assert (context.key, context.name) == ("ada", "Ada")
    assert context.attributes == {
        "name": "Ada",
        "since": "2024-01-02T00:00:00+00:00",
        "tags": ("a", "1", "true"),
        "age": 36,
    }


def test_only_the_fallthrough_of_a_flag_that_looks_at_nothing_is_static() -> None:
    words = {
        reason: open_feature_reason(EvaluationDetail(True, "v", reason), looks_at_nothing=True)
        for reason in Reason
    }
    assert [reason for reason, word in words.items() if word == "STATIC"] == [Reason.FALLTHROUGH]


@pytest.mark.parametrize(
    ("reason", "bucketed", "expected"),
    [
        (Reason.OFF, False, "DISABLED"),
        (Reason.TARGET_MATCH, False, "TARGETING_MATCH"),
        (Reason.RULE_MATCH, False, "TARGETING_MATCH"),
        (Reason.RULE_MATCH, True, "SPLIT"),
        (Reason.FALLTHROUGH, False, "DEFAULT"),
        (Reason.FALLTHROUGH, True, "SPLIT"),
        (Reason.ERROR, False, "ERROR"),
        (Reason.PREREQUISITE_FAILED, False, "PREREQUISITE_FAILED"),
    ],
)
def test_each_reason_has_its_word(reason: Reason, bucketed: bool, expected: str) -> None:
    detail = EvaluationDetail(True, "v", reason, bucketed=bucketed)
    assert open_feature_reason(detail) == expected
