from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import pytest
from grpc import aio

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.insights.v1 import insights_pb2
from featmesh.messaging.v1 import messaging_pb2
from featmesh.wire import context_from_proto
from services.evaluation.events.end_users import SeenUsers
from services.ingest.insights import decode_insights
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Message, Topic
from services.storage.mongodb import MongoStore
from tests.support.evaluation import EvaluationClient, Timing, now_ms, running_evaluation
from tests.support.messaging import Recorder, message
from tests.support.resources import Environment
from tests.support.statuses import error_info, violations

HOUR_MS = 3_600_000
CLOCK_TOLERANCE_MS = 30_000


def user(key: str, plan: str = "pro") -> evaluation_pb2.Context:
    value = evaluation_pb2.AttributeValue(string_value=plan)
    return evaluation_pb2.Context(key=key, attributes={"plan": value})


def evaluation(**fields: Any) -> insights_pb2.EvaluationEvent:
    good = {"flag_key": "a", "variation_id": "on", "user_key": "ada", "count": 2}
    times = {"first_time_ms": 1_000, "last_time_ms": 2_000}
    return insights_pb2.EvaluationEvent(**{**good, **times, **fields})


def metric(**fields: Any) -> insights_pb2.MetricEvent:
    good = {"name": "bought", "user_key": "ada", "value": 1.5, "time_ms": 1_000}
    return insights_pb2.MetricEvent(**{**good, **fields})


def track(**fields: Any) -> insights_pb2.TrackRequest:
    return insights_pb2.TrackRequest(**{"batch_id": "batch-1", "sent_at_ms": now_ms(), **fields})


def forwarded(received: Message) -> insights_pb2.TrackRequest:
    batch = messaging_pb2.InsightBatch.FromString(received.payload)
    return insights_pb2.TrackRequest.FromString(batch.track)


async def test_good_events_and_users_reach_their_topics(
    client_sdk: EvaluationClient, environment: Environment, users: Recorder, insights: Recorder
) -> None:
    request = track(users=[user("ada")], evaluations=[evaluation()], metrics=[metric()])
    response = await client_sdk.track(request)
    assert (response.accepted, list(response.rejected)) == (3, [])
    message = (await insights.until(1))[0]
    assert (message.id, message.environment_id) == ("batch-1", environment.id)
    batch = messaging_pb2.InsightBatch.FromString(message.payload)
    assert (batch.batch_id, batch.environment_id) == ("batch-1", environment.id)
    assert abs(batch.received_at_ms - now_ms()) < CLOCK_TOLERANCE_MS
    events = insights_pb2.TrackRequest.FromString(batch.track)
    assert list(events.evaluations) == [evaluation()]
    assert list(events.metrics) == [metric()]
    assert not events.users
    seen = messaging_pb2.UserBatch.FromString((await users.until(1))[0].payload)
    assert (seen.environment_id, list(seen.users)) == (environment.id, [user("ada")])


async def test_a_bad_event_is_refused_alone_with_its_index_and_the_reason(
    client_sdk: EvaluationClient, users: Recorder, insights: Recorder
) -> None:
    request = track(
        users=[user("ada"), user("")],
        evaluations=[
            evaluation(count=0),
            evaluation(),
            evaluation(last_time_ms=1),
            evaluation(flag_key="k" * 129),
        ],
        metrics=[metric(value=float("inf")), metric(), metric(user_key="")],
    )
    response = await client_sdk.track(request)
    part = insights_pb2.EventPart
    assert response.accepted == 3
    assert [(each.part, each.index) for each in response.rejected] == [
        (part.EVENT_PART_USERS, 1),
        (part.EVENT_PART_EVALUATIONS, 0),
        (part.EVENT_PART_EVALUATIONS, 2),
        (part.EVENT_PART_EVALUATIONS, 3),
        (part.EVENT_PART_METRICS, 0),
        (part.EVENT_PART_METRICS, 2),
    ]
    assert [each.reason.partition(" ")[0] for each in response.rejected] == [
        "user.key",
        "count",
        "last_time_ms",
        "flag_key",
        "value",
        "user_key",
    ]
    events = forwarded((await insights.until(1))[0])
    assert (list(events.evaluations), list(events.metrics)) == ([evaluation()], [metric()])
    seen = messaging_pb2.UserBatch.FromString((await users.until(1))[0].payload)
    assert list(seen.users) == [user("ada")]


async def test_limits_are_of_bytes_for_whoever_takes_and_for_whoever_stores(
    client_sdk: EvaluationClient, insights: Recorder
) -> None:
    fits, too_long = "é" * 64, "é" * 65  # two bytes each
    good = [evaluation(flag_key=fits, variation_id="é" * 32, user_key="é" * 256)]
    bad = [evaluation(flag_key=too_long), evaluation(user_key="é" * 257)]
    request = track(evaluations=[*good, *bad], metrics=[metric(name=fits), metric(name=too_long)])
    response = await client_sdk.track(request)
    assert [each.index for each in response.rejected] == [1, 2, 1]
    stored = decode_insights((await insights.until(1))[0].payload)
    assert [each.flag_key for each in stored.evaluations] == [fits]
    assert [each.name for each in stored.metrics] == [fits]


async def test_a_batch_with_nothing_good_publishes_nothing(
    client_sdk: EvaluationClient, users: Recorder, insights: Recorder
) -> None:
    response = await client_sdk.track(track(metrics=[metric(name="")]))
    assert (response.accepted, len(response.rejected)) == (0, 1)
    assert (users.got, insights.got) == ([], [])


async def test_what_an_sdk_lost_is_passed_on_even_where_nothing_else_is_to_be_told(
    client_sdk: EvaluationClient, insights: Recorder
) -> None:
    await client_sdk.track(track(dropped_events=3))
    await client_sdk.track(track(dropped_events=4, users=[user("ada")], metrics=[metric()]))
    assert [decode_insights(each.payload).dropped for each in await insights.until(2)] == [3, 4]


async def test_a_batch_beyond_its_limits_is_refused_as_a_whole(
    client_sdk: EvaluationClient, insights: Recorder
) -> None:
    for request, paths in (
        (track(batch_id=""), {"batch_id"}),
        (track(batch_id="b" * 65), {"batch_id"}),
        (track(metrics=[metric()] * 10_001, dropped_events=-1), {"metrics", "dropped_events"}),
        (track(users=[user("ada")] * 1_001), {"users"}),
    ):
        with pytest.raises(aio.AioRpcError) as caught:
            await client_sdk.track(request)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert set(violations(caught.value)) == paths
    assert insights.got == []


async def test_the_bytes_of_a_batch_in_which_all_is_well_are_forwarded_as_they_are(
    client_sdk: EvaluationClient, insights: Recorder
) -> None:
    slow = now_ms() - HOUR_MS  # and what is to be moved is moved later, by a number beside them
    request = track(sent_at_ms=slow, evaluations=[evaluation()], metrics=[metric()])
    unknown_field = bytes([0xFA, 0x7F, 0x01, 0x2A])  # an SDK of a later version
    request.MergeFromString(unknown_field)
    await client_sdk.track(request)
    batch = messaging_pb2.InsightBatch.FromString((await insights.until(1))[0].payload)
    assert batch.track == request.SerializeToString()
    assert batch.track.endswith(unknown_field)


@pytest.mark.parametrize(
    ("behind_ms", "skew_ms"),
    [(0, 0), (59_000, 0), (HOUR_MS, HOUR_MS), (-HOUR_MS, -HOUR_MS), (90 * HOUR_MS, 24 * HOUR_MS)],
)
async def test_times_of_a_sender_whose_clock_is_wrong_are_moved_by_a_day_at_most(
    client_sdk: EvaluationClient, insights: Recorder, behind_ms: int, skew_ms: int
) -> None:
    sent = now_ms() - behind_ms
    event = evaluation(first_time_ms=sent - 500, last_time_ms=sent - 100)
    await client_sdk.track(
        track(sent_at_ms=sent, evaluations=[event], metrics=[metric(time_ms=sent - 300)])
    )
    stored = decode_insights((await insights.until(1))[0].payload)
    moved = stored.evaluations[0]
    assert 0 <= moved.first_ms - (sent - 500 + skew_ms) < CLOCK_TOLERANCE_MS
    assert moved.last_ms - moved.first_ms == 400
    assert stored.metrics[0].time_ms - moved.first_ms == 200


async def test_a_batch_that_does_not_say_when_it_was_sent_is_believed(
    client_sdk: EvaluationClient, insights: Recorder
) -> None:
    await client_sdk.track(track(sent_at_ms=0, metrics=[metric(time_ms=500)]))
    stored = decode_insights((await insights.until(1))[0].payload)
    assert stored.metrics[0].time_ms == 500


async def test_what_is_no_batch_is_refused(client_sdk: EvaluationClient) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        await client_sdk.track_bytes(b"\xff\xff")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_key_that_sends_too_much_is_told_when_to_come_again(
    store: MongoStore, bus: InProcessBus, client_key: str, server_key: str
) -> None:
    async with running_evaluation(store, bus, Timing(track_rate=10)) as service:
        sdk = service.client(client_key)
        await sdk.track(track(metrics=[metric()] * 40))  # 20 at once, and 20 to be paid for
        for call in (
            sdk.track(track(batch_id="batch-2", metrics=[metric()])),
            sdk.identify(insights_pb2.IdentifyRequest(users=[user("ada")])),
        ):
            with pytest.raises(aio.AioRpcError) as caught:
                await call
            assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            pushback = dict(caught.value.trailing_metadata() or ())["grpc-retry-pushback-ms"]
            assert 0 < int(pushback) <= 2_100
        other = await service.client(server_key).track(track(metrics=[metric()]))
        assert other.accepted == 1


async def test_without_a_bus_nothing_is_acknowledged(
    store: MongoStore, bus: InProcessBus, client_key: str
) -> None:
    async with running_evaluation(store, bus) as service:
        sdk = service.client(client_key)
        await bus.close()
        for call in (
            sdk.track(track(metrics=[metric()])),
            sdk.identify(insights_pb2.IdentifyRequest(users=[user("ada")])),
        ):
            with pytest.raises(aio.AioRpcError) as caught:
                await call
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
            assert error_info(caught.value).reason == "BROKER_UNAVAILABLE"


async def test_a_full_queue_asks_the_sender_to_wait(store: MongoStore, client_key: str) -> None:
    bus, gate = InProcessBus(max_length=1), asyncio.Event()

    async def busy(_: Message) -> None:
        await gate.wait()

    await bus.consume(Topic.INSIGHTS, busy, prefetch=1)
    async with running_evaluation(store, bus) as service, asyncio.TaskGroup() as group:
        for _ in range(2):  # one for the handler, one for the queue
            group.create_task(bus.publish(Topic.INSIGHTS, message()))
        with pytest.raises(aio.AioRpcError) as caught:
            await service.client(client_key).track(track(metrics=[metric()]))
        gate.set()
    await bus.close()
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "grpc-retry-pushback-ms" in dict(caught.value.trailing_metadata() or ())


async def test_identified_users_are_published(
    client_sdk: EvaluationClient, environment: Environment, users: Recorder
) -> None:
    await client_sdk.identify(insights_pb2.IdentifyRequest(users=[user("ada"), user("bob")]))
    seen = messaging_pb2.UserBatch.FromString((await users.until(1))[0].payload)
    assert (seen.environment_id, list(seen.users)) == (environment.id, [user("ada"), user("bob")])


async def test_identify_refuses_no_users_and_bad_users_with_their_paths(
    client_sdk: EvaluationClient, users: Recorder
) -> None:
    for bad, paths in (([], {"users"}), ([user("ada"), user("")], {"users[1].key"})):
        with pytest.raises(aio.AioRpcError) as caught:
            await client_sdk.identify(insights_pb2.IdentifyRequest(users=bad))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert set(violations(caught.value)) == paths
    assert users.got == []


async def test_a_stream_makes_its_user_known_once_however_often_it_is_opened(
    store: MongoStore, bus: InProcessBus, client_key: str, users: Recorder
) -> None:
    async with running_evaluation(store, bus) as service:
        sdk = service.client(client_key)
        await sdk.results(user("ada")).change()
        await users.until(1)
        await sdk.results(user("ada")).change()
        await sdk.evaluate(user("ada"))
        await sdk.results(user("bob")).change()
    seen = [messaging_pb2.UserBatch.FromString(each.payload) for each in users.got]
    assert [list(batch.users) for batch in seen] == [[user("ada")], [user("bob")]]


async def test_a_user_whose_attributes_change_back_before_the_flush_ends_as_it_is(
    bus: InProcessBus, users: Recorder
) -> None:
    seen = SeenUsers(bus, now_ms)
    ada = context_from_proto(user("ada"))
    for plan in ("pro", "free", "pro"):
        seen.see("environment-1", replace(ada, attributes={"plan": plan}))
        if plan == "pro":
            await seen.flush()
    batches = [messaging_pb2.UserBatch.FromString(each.payload) for each in users.got]
    assert list(batches[-1].users) == [user("ada")]


async def test_users_wait_while_the_broker_is_away_and_too_many_are_counted(
    bus: InProcessBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.evaluation.events.end_users.WAITING", 2)
    seen = SeenUsers(bus, now_ms)
    await bus.close()
    for key in ("ada", "bob", "eve"):
        seen.see("environment-1", context_from_proto(user(key)))
        await seen.flush()
    assert seen.dropped == 1
