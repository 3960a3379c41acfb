from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
import pytest

from featmesh.engine.model import ValueType, Variation
from featmesh.sync.v1 import sync_pb2
from services.messaging.inprocess import InProcessBus
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import flag
from tests.support.evaluation import (
    EvaluationClient,
    RunningEvaluation,
    SyncStream,
    Timing,
    running_evaluation,
)
from tests.support.messaging import soon
from tests.support.statuses import error_info

TINY_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 4_096))
"""The reader's flow control lets little more through than it has asked for."""

BIG_FLAGS = 12
BIG_TEXT = "x" * 60_000


async def test_an_idle_stream_carries_heartbeats_with_the_revision(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    committed = await operator.create(flag("a"))
    async with running_evaluation(store, bus, Timing(heartbeat=0.1)) as service:
        sdk = service.client(server_key)
        for stream in (sdk.definitions(), sdk.results("ada")):
            await stream.change()
            for _ in range(2):
                heartbeat = (await stream.frame()).heartbeat
                assert heartbeat.revision == committed.revision
                assert heartbeat.server_time_ms > 0


async def test_a_stream_that_reached_its_age_is_told_to_reconnect(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    async with running_evaluation(store, bus, Timing(max_age=0.2)) as service:
        stream = service.client(server_key).definitions()
        goodbye = await stream.goodbye()
        assert goodbye.reason == sync_pb2.GOODBYE_REASON_MAX_AGE
        assert goodbye.jitter_ms > 0
        assert await stream.call.code() == grpc.StatusCode.OK


async def test_draining_says_goodbye_and_ends_every_stream_well(
    store: MongoStore, bus: InProcessBus, server_key: str, client_key: str, operator: Operator
) -> None:
    async with running_evaluation(store, bus) as service:
        server_sdk, client_sdk = service.client(server_key), service.client(client_key)
        streams: list[SyncStream[Any]] = [
            server_sdk.definitions(),
            *(client_sdk.results(f"u{n}") for n in range(30)),
        ]
        for stream in streams:
            await stream.change()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.app.stop())
            for stream in streams:
                goodbye = await stream.goodbye()
                assert goodbye.reason == sync_pb2.GOODBYE_REASON_DRAINING
                assert await stream.call.code() == grpc.StatusCode.OK


async def test_a_slow_reader_is_ended_and_may_resume_while_others_stay_served(
    service: RunningEvaluation,
    server_key: str,
    server_sdk: EvaluationClient,
    operator: Operator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    slow_sdk = service.client(server_key, TINY_WINDOW)
    slow, quick = slow_sdk.definitions(), server_sdk.definitions()
    held = await slow.change()
    await quick.change()
    text = Variation("on", "On", BIG_TEXT)
    big = [
        flag(f"big-{n}", value_type=ValueType.STRING, variations=(text,)) for n in range(BIG_FLAGS)
    ]
    with caplog.at_level(logging.WARNING, "services.evaluation.sync.stream"):
        committed = await operator.create(*big)
        await quick.reach(committed.revision)

        async def ended() -> bool:
            return "a stream is ended" in caplog.text

        await soon(ended)
    committed = await operator.create(flag("later"))
    await quick.reach(committed.revision)
    error = await slow.refused()
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert error_info(error).reason == "SLOW_READER"
    resumed = slow_sdk.definitions(await operator.token(held.revision))
    await resumed.reach(committed.revision)
    assert resumed.flags == quick.flags


async def test_a_slow_reader_that_never_reads_again_does_not_hold_up_the_stop(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    text = Variation("on", "On", BIG_TEXT)
    big = [
        flag(f"big-{n}", value_type=ValueType.STRING, variations=(text,)) for n in range(BIG_FLAGS)
    ]
    await operator.create(*big)
    async with running_evaluation(store, bus) as service:
        stream = service.client(server_key, TINY_WINDOW).definitions()
        await stream.frame()
        async with asyncio.timeout(10):
            await service.app.stop()
