from __future__ import annotations

import grpc
import pytest

from services.messaging.inprocess import InProcessBus
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator, store_through
from tests.integration.storage.records import flag
from tests.support.evaluation import (
    NEVER,
    NOT_SERVING,
    SERVING,
    Timing,
    running_evaluation,
)
from tests.support.messaging import own_topology, rabbitmq_bus
from tests.support.ports import free_address
from tests.support.proxy import TcpProxy
from tests.support.statuses import error_info

SHORT_LAG = 0.3


async def test_while_the_store_is_away_what_is_known_is_served_and_health_says_so(
    proxy: TcpProxy,
    database_name: str,
    bus: InProcessBus,
    server_key: str,
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.evaluation.app.MAX_POLL_LAG", SHORT_LAG)
    monkeypatch.setattr("services.evaluation.auth.sdk_keys.FOUND_SECONDS", 0.0)
    await operator.create(flag("a"))
    async with (
        store_through(proxy, database_name) as distant,
        running_evaluation(distant, bus) as service,
    ):
        sdk = service.client(server_key)
        stream = sdk.definitions()
        await stream.change()
        await proxy.cut()
        await service.health(NOT_SERVING)
        assert set((await sdk.definitions().change()).flags) == set(stream.flags.values())
        assert [each.flag_key for each in (await sdk.evaluate("ada")).results] == ["a"]
        error = await service.client("fms_never-seen").definitions().refused()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert error_info(error).reason == "STORE_UNAVAILABLE"
        committed = await operator.create(flag("meanwhile"))
        await proxy.open()
        await stream.reach(committed.revision)
        await service.health(SERVING)
        assert set(stream.flags) == {"a", "meanwhile"}


async def test_a_store_that_is_away_at_the_start_is_waited_for(
    proxy: TcpProxy, database_name: str, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    committed = await operator.create(flag("a"))
    await proxy.cut()
    async with (
        store_through(proxy, database_name) as distant,
        running_evaluation(distant, bus, ready=False) as service,
    ):
        await service.health(NOT_SERVING)
        error = await service.client(server_key).definitions().refused()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        await proxy.open()
        await service.health(SERVING)
        stream = service.client(server_key).definitions()
        await stream.reach(committed.revision)


async def test_changes_arrive_by_notices_through_a_real_broker(
    store: MongoStore, amqp_url: str, server_key: str, operator: Operator
) -> None:
    async with (
        own_topology(amqp_url) as prefix,
        rabbitmq_bus(amqp_url, prefix) as bus,
        running_evaluation(store, bus, Timing(poll_interval=NEVER)) as service,
    ):
        stream = service.client(server_key).definitions()
        await stream.change()
        for number in range(3):
            committed = await operator.create(flag(f"flag-{number}"))
            await operator.announce(bus, committed)
            await stream.reach(committed.revision)


async def test_without_a_broker_changes_arrive_by_the_poll(
    store: MongoStore, server_key: str, operator: Operator
) -> None:
    async with (
        rabbitmq_bus(f"amqp://guest:guest@{free_address()}/", "unused") as bus,
        running_evaluation(store, bus) as service,
    ):
        stream = service.client(server_key).definitions()
        await stream.change()
        committed = await operator.create(flag("a"))
        await stream.reach(committed.revision)
