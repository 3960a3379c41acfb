from __future__ import annotations

import grpc
import pytest

from featmesh.management.v1 import dead_letter_service_pb2 as pb
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Message, Topic
from tests.support.api import ApiClient
from tests.support.messaging import Recorder, message
from tests.support.statuses import violations


async def dead(bus: InProcessBus, topic: Topic) -> Message:
    """A message that could not be stored."""
    bad = message(payload=b"bad")
    consumer = await bus.consume(topic, Recorder(fails=lambda _: True), prefetch=1)
    await bus.publish(topic, bad)  # returns when the handlers have given up
    await consumer.close()
    return bad


async def listed(api: ApiClient, **filters: object) -> list[str]:
    request = pb.ListDeadLettersRequest(filter=pb.DeadLetterFilter(**filters))  # type: ignore[arg-type]
    answer = await api.call(api.dead_letters.ListDeadLetters, request)
    return [letter.message_id for letter in answer.dead_letters]


async def test_a_letter_is_listed_with_where_it_came_from_and_why(
    api: ApiClient, bus: InProcessBus
) -> None:
    bad = await dead(bus, Topic.USERS)
    answer = await api.call(api.dead_letters.ListDeadLetters, pb.ListDeadLettersRequest())
    assert list(answer.dead_letters) == [
        pb.DeadLetter(
            message_id=bad.id,
            topic=pb.MESSAGE_TOPIC_USERS,
            environment_id=bad.environment_id,
            reason="cannot store bad",
            payload_bytes=3,
        )
    ]


async def test_letters_are_replayed_and_dropped_by_topic_and_id(
    api: ApiClient, bus: InProcessBus
) -> None:
    topics = (Topic.USERS, Topic.INSIGHTS, Topic.INSIGHTS)
    user, event, other = [await dead(bus, topic) for topic in topics]
    stored = Recorder()
    await bus.consume(Topic.INSIGHTS, stored, prefetch=1)
    chosen = pb.DeadLetterFilter(topic=pb.MESSAGE_TOPIC_INSIGHTS, message_ids=[event.id])
    replayed = await api.call(
        api.dead_letters.ReplayDeadLetters, pb.ReplayDeadLettersRequest(filter=chosen)
    )
    assert (replayed.replayed, stored.got) == (1, [event])
    dropped = await api.call(api.dead_letters.DropDeadLetters, pb.DropDeadLettersRequest(limit=1))
    assert dropped.dropped == 1
    assert user.id not in await listed(api)
    assert await listed(api, topic=pb.MESSAGE_TOPIC_INSIGHTS) == [other.id]


def of_ids(*ids: str) -> pb.ListDeadLettersRequest:
    return pb.ListDeadLettersRequest(filter=pb.DeadLetterFilter(message_ids=ids))


@pytest.mark.parametrize(
    ("request_", "paths"),
    [
        (pb.ListDeadLettersRequest(limit=1_001), {"limit"}),
        (pb.ListDeadLettersRequest(limit=-1), {"limit"}),
        (of_ids(""), {"filter.message_ids[0]"}),
        (of_ids(*["a"] * 1_001), {"filter.message_ids"}),
    ],
)
async def test_what_breaks_a_limit_is_refused(
    api: ApiClient, request_: pb.ListDeadLettersRequest, paths: set[str]
) -> None:
    error = await api.refused(api.dead_letters.ListDeadLetters, request_)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(error)) == paths


async def test_without_a_token_nothing_is_shown(api: ApiClient) -> None:
    anyone = ApiClient(api.channel, "")
    error = await anyone.refused(anyone.dead_letters.ListDeadLetters, pb.ListDeadLettersRequest())
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED
