from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc import aio

from featmesh.insights.v1 import insights_pb2
from services.evaluation.events.ordered import map_ordered
from services.messaging.inprocess import InProcessBus
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.test_insights import forwarded, metric, track, user
from tests.support.evaluation import EvaluationClient, Timing, running_evaluation
from tests.support.messaging import Recorder
from tests.support.waiting import PATIENCE

CODES = {code.value[0]: code for code in grpc.StatusCode}


def sent(batch: insights_pb2.TrackRequest | bytes) -> insights_pb2.TrackStreamRequest:
    data = batch if isinstance(batch, bytes) else batch.SerializeToString()
    return insights_pb2.TrackStreamRequest(batch=data)


async def test_each_batch_is_answered_before_the_next_is_sent(
    client_sdk: EvaluationClient, insights: Recorder
) -> None:
    call = client_sdk.track_stream()
    for name in ("a", "b"):
        await call.write(sent(track(batch_id=name, metrics=[metric(), metric(name="")])))
        answer = await call.read()
        assert (answer.batch_id, answer.code, answer.taken.accepted) == (name, 0, 1)
        assert [each.index for each in answer.taken.rejected] == [1]
    await call.done_writing()
    assert await call.read() is aio.EOF
    assert [list(forwarded(each).metrics) for each in insights.got] == [[metric()], [metric()]]


async def test_a_batch_that_is_refused_ends_no_stream(
    client_sdk: EvaluationClient, users: Recorder
) -> None:
    call = client_sdk.track_stream()
    for batch in (b"\xff\xff", track(batch_id="x" * 65), track(batch_id="good", users=[user("a")])):
        await call.write(sent(batch))
    await call.done_writing()
    answers = [answer async for answer in call]
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    assert [CODES[each.code] for each in answers] == [invalid, invalid, grpc.StatusCode.OK]
    assert [each.batch_id for each in answers] == ["", "x" * 65, "good"]
    assert "batch_id" in answers[1].message
    assert len(users.got) == 1


async def test_a_relay_is_told_when_to_send_a_batch_again(
    store: MongoStore, bus: InProcessBus, client_key: str
) -> None:
    async with running_evaluation(store, bus, Timing(track_rate=10)) as service:
        call = service.client(client_key).track_stream()
        answers = []
        for name in ("a", "b"):
            await call.write(sent(track(batch_id=name, metrics=[metric()] * 30)))
            answers.append(await call.read())
        call.cancel()
    assert [CODES[each.code].name for each in answers] == ["OK", "RESOURCE_EXHAUSTED"]
    assert answers[1].pushback_ms > 0


async def test_a_stream_of_an_unknown_key_is_refused(store: MongoStore, bus: InProcessBus) -> None:
    async with running_evaluation(store, bus) as service:
        call = service.client("fmc_unknown").track_stream()
        await call.write(sent(track()))
        with pytest.raises(aio.AioRpcError) as caught:
            await call.read()
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_answers_keep_the_order_of_requests_and_no_more_are_read_than_may_wait() -> None:
    read: list[int] = []
    gates = [asyncio.Event() for _ in range(5)]

    async def requests() -> AsyncIterator[int]:
        for number in range(5):
            read.append(number)
            yield number

    async def answer(number: int) -> int:
        await gates[number].wait()
        return number

    answers = map_ordered(requests(), answer, at_once=2)
    async with asyncio.timeout(PATIENCE):
        gates[1].set()
        first = asyncio.ensure_future(anext(answers))
        while len(read) < 3:  # noqa: ASYNC110 - the third is read, and waits for its turn
            await asyncio.sleep(0)
        assert not first.done()
        for gate in gates:
            gate.set()
        assert [await first, *[each async for each in answers]] == [0, 1, 2, 3, 4]


async def test_what_ends_the_requests_comes_after_the_answers_before_it() -> None:
    async def requests() -> AsyncIterator[int]:
        yield 1
        raise ConnectionError("the relay is gone")

    async def answer(number: int) -> int:
        return number

    answers = map_ordered(requests(), answer, at_once=2)
    assert await anext(answers) == 1
    with pytest.raises(ConnectionError):
        await anext(answers)
