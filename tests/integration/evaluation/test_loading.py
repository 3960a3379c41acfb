from __future__ import annotations

import asyncio
from collections.abc import Collection

from services.evaluation.limits import FRAME_BYTES, PACKED_BYTES
from services.messaging.inprocess import InProcessBus
from services.storage.model.definitions import Definitions, EnvironmentHead
from services.storage.mongodb import MongoStore
from services.storage.ports.definitions import DefinitionStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.evaluation.test_guarantees import assert_equals_store
from tests.integration.storage.records import flag, segment
from tests.support.evaluation import (
    NEVER,
    EvaluationClient,
    Timing,
    running_evaluation,
)
from tests.support.messaging import soon

READERS = 20
MANY_FLAGS = 3_000
MANY_KEYS = 100_000

HANDLED = 0.2
"""Seconds in which a notice is dealt with, unless its handler waits for something."""


class GatedDefinitions:
    """A real store's reads; a whole one is counted and goes on when the gate is open."""

    def __init__(self, inner: DefinitionStore) -> None:
        self._inner = inner
        self.has_revision = inner.has_revision
        self.renew_epoch = inner.renew_epoch
        self.reads = 0
        self.read = asyncio.Event()
        self.gate = asyncio.Event()

    async def read_definitions(self, environment_id: str) -> Definitions:
        self.reads += 1
        definitions = await self._inner.read_definitions(environment_id)
        self.read.set()
        await self.gate.wait()
        return definitions

    async def read_changes(self, environment_id: str, since: int) -> Definitions:
        return await self._inner.read_changes(environment_id, since)

    async def read_heads(self, environment_ids: Collection[str]) -> dict[str, EnvironmentHead]:
        return await self._inner.read_heads(environment_ids)


async def test_concurrent_first_streams_share_one_load(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    await operator.create(flag("a"))
    store.definitions = gated = GatedDefinitions(store.definitions)
    async with running_evaluation(store, bus) as service:
        sdk = service.client(server_key)
        streams = [sdk.definitions() for _ in range(READERS)]
        await gated.read.wait()
        gated.gate.set()
        await asyncio.gather(*(stream.change() for stream in streams))
    assert all(set(stream.flags) == {"a"} for stream in streams)
    assert gated.reads == 1


async def test_a_reader_that_leaves_during_the_load_does_not_end_it_for_the_others(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    store.definitions = gated = GatedDefinitions(store.definitions)
    async with running_evaluation(store, bus) as service:
        sdk = service.client(server_key)
        first, second = sdk.definitions(), sdk.definitions()
        await gated.read.wait()
        first.close()
        gated.gate.set()
        await second.change()
    assert gated.reads == 1


async def test_a_change_that_is_announced_during_the_load_is_not_missed(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    store.definitions = gated = GatedDefinitions(store.definitions)
    async with running_evaluation(store, bus, Timing(poll_interval=NEVER)) as service:
        stream = service.client(server_key).definitions()
        await gated.read.wait()
        committed = await operator.create(flag("a"))
        async with asyncio.TaskGroup() as tasks:
            announced = tasks.create_task(operator.announce(bus, committed))
            await asyncio.wait({announced}, timeout=HANDLED)
            gated.gate.set()
            await stream.reach(committed.revision)
    assert set(stream.flags) == {"a"}


async def test_streams_opened_amid_commits_miss_nothing(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    streams = []
    for number in range(10):
        streams.append(server_sdk.definitions())
        committed = await operator.create(flag(f"flag-{number}"))
    for stream in streams:
        await stream.reach(committed.revision)
        await assert_equals_store(stream, operator)


async def test_three_thousand_flags_arrive_in_frames_of_a_bounded_size(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    flags = (flag(f"flag-{number}", salt="x" * 200) for number in range(MANY_FLAGS))
    committed = await operator.create(*flags)
    stream = server_sdk.definitions()
    await stream.reach(committed.revision)
    assert len(stream.frame_sizes) > 1
    assert max(stream.frame_sizes) <= PACKED_BYTES
    assert len(stream.flags) == MANY_FLAGS
    await assert_equals_store(stream, operator)


async def test_a_segment_larger_than_a_frame_arrives_in_fragments(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    stream = server_sdk.definitions()
    await stream.change()
    keys = tuple(f"user-{number}" for number in range(MANY_KEYS))
    committed = await operator.create(segment("s-1", "big", included=keys), flag("after"))
    await stream.reach(committed.revision)
    assert max(stream.frame_sizes) <= FRAME_BYTES
    assert stream.segments["s-1"].included == keys
    await assert_equals_store(stream, operator)


async def test_an_environment_without_streams_is_dropped_and_loaded_again(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    store.definitions = gated = GatedDefinitions(store.definitions)
    gated.gate.set()
    async with running_evaluation(store, bus, Timing(idle_environment=0.2)) as service:
        sdk = service.client(server_key)
        stream = sdk.definitions()
        await stream.change()
        stream.close()

        async def dropped() -> bool:
            return not service.app._replicas.loaded()

        await soon(dropped)
        committed = await operator.create(flag("a"))
        changes = await sdk.definitions().change()
    assert changes.revision == committed.revision
    assert gated.reads == 2


async def test_an_environment_with_a_silent_stream_is_kept(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    store.definitions = gated = GatedDefinitions(store.definitions)
    gated.gate.set()
    timing = Timing(idle_environment=0.05, heartbeat=0.5)
    async with running_evaluation(store, bus, timing) as service:
        stream = service.client(server_key).definitions()
        await stream.change()
        assert (await stream.frame()).WhichOneof("frame") == "heartbeat"
        committed = await operator.create(flag("a"))
        await stream.reach(committed.revision)
    assert gated.reads == 1
