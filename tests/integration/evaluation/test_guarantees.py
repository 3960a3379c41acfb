"""What sync.md guarantees: at least one test for each, under its name."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from featmesh.engine.model import Condition, Rollout, Rule, Share, ValueType, Variation
from services.evaluation.limits import FRAME_BYTES
from services.messaging.inprocess import InProcessBus
from services.messaging.rabbitmq import RabbitMqBus
from services.storage.model.credentials import SdkKeyKind
from services.storage.model.items import FlagRecord
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import create, delete, flag, segment, update
from tests.support.evaluation import (
    NEVER,
    DefinitionStream,
    EvaluationClient,
    RunningEvaluation,
    Timing,
    new_sdk_key,
    running_evaluation,
)
from tests.support.messaging import own_topology
from tests.support.resources import make_environment, read_environment

OFF = Rollout((Share("off", 100_000),))
MEMBERS_ONLY = Rule("r", "Members", (Condition("", "IN_SEGMENT", ("s-1",)),), OFF)


LARGE_FLAGS = 400


def large_flags(**fields: Any) -> list[FlagRecord]:
    """More than fit into one frame."""
    variations = (Variation("on", "On", "yes"), Variation("off", "Off", "no"))
    given = {
        "salt": "x" * 2_000,
        "value_type": ValueType.STRING,
        "variations": variations,
        **fields,
    }
    return [flag(f"flag-{number}", **given) for number in range(LARGE_FLAGS)]


async def assert_equals_store(stream: DefinitionStream, operator: Operator) -> None:
    """What the reader holds is what the store holds."""
    stored = await operator.store.definitions.read_definitions(operator.environment_id)
    assert stream.revisions[-1] == stored.revision
    assert stream.flags == {each.key: each for each in stored.flags}
    assert stream.segments == {each.id: each for each in stored.segments}


async def test_ordered_revisions_only_rise(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    stream = server_sdk.definitions()
    await stream.change()
    committed = await operator.create(flag("a"))
    for number in range(20):
        committed = await operator.update("a", enabled=bool(number % 2))
    await stream.reach(committed.revision)
    assert stream.revisions == sorted(set(stream.revisions))


async def test_complete_no_change_is_skipped_for_good(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    stream = server_sdk.definitions()
    await stream.change()
    for number in range(30):
        committed = await operator.create(flag(f"flag-{number}"))
    await stream.reach(committed.revision)
    await assert_equals_store(stream, operator)


async def test_atomic_a_flag_comes_with_the_segment_that_it_uses(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    stream = server_sdk.definitions()
    await stream.change()
    await operator.create(flag("a", rules=(MEMBERS_ONLY,)), segment("s-1", "members"))
    changes = await stream.change()
    assert [each.key for each in changes.flags] == ["a"]
    assert [each.id for each in changes.segments] == ["s-1"]


async def test_atomic_two_flags_of_one_change_are_never_seen_apart(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    stream = server_sdk.definitions()
    await stream.change()
    committed = await operator.create(flag("a"), flag("b"))
    for number in range(10):
        writes = [update(each, enabled=bool(number % 2)) for each in committed.resources]
        committed = await operator.commit(*writes)
    while stream.revisions[-1] < committed.revision:
        await stream.change()
        assert stream.flags["a"].enabled == stream.flags["b"].enabled


async def test_resumable_a_reconnect_gets_only_the_difference(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    committed = await operator.create(flag("kept"), flag("gone"), segment("s-1", "gone"))
    _, gone, gone_segment = committed.resources
    await operator.commit(*create(flag("new")), delete(gone), delete(gone_segment))
    changes = await server_sdk.definitions(await operator.token(committed.revision)).change()
    assert not changes.full
    assert [each.key for each in changes.flags] == ["new"]
    assert changes.deleted_flag_keys == ("gone",)
    assert changes.deleted_segment_ids == ("s-1",)


async def test_resumable_a_reader_that_is_current_gets_an_empty_patch_at_once(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    committed = await operator.create(flag("a"))
    changes = await server_sdk.definitions(await operator.token(committed.revision)).change()
    assert (changes.full, changes.revision, changes.flags) == (False, committed.revision, ())


async def test_resumable_a_revision_of_the_future_gets_a_full_set(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    committed = await operator.create(flag("a"))
    stream = server_sdk.definitions(await operator.token(committed.revision + 1))
    assert (await stream.change()).full
    await assert_equals_store(stream, operator)


async def test_resumable_a_reader_that_left_amid_a_change_set_gets_it_as_a_whole(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    stream = server_sdk.definitions()
    held = await stream.change()
    committed = await operator.create(*large_flags())
    first = await stream.frame()
    assert (first.change_set.part, first.change_set.last) == (0, False)
    stream.close()
    resumed = server_sdk.definitions(await operator.token(held.revision))
    changes = await resumed.change()
    assert (changes.full, changes.revision) == (False, committed.revision)
    assert len(changes.flags) == LARGE_FLAGS
    assert max(resumed.frame_sizes) <= FRAME_BYTES


async def test_atomic_all_parts_of_a_change_set_are_of_one_revision(
    server_sdk: EvaluationClient, client_sdk: EvaluationClient, operator: Operator
) -> None:
    """Although another change is committed while the parts are on their way."""
    text = Variation("on", "On", "x" * 4_000)
    large = large_flags(variations=(text, replace(text, id="off")))
    committed = await operator.create(*large)
    later = [await operator.update("flag-0", enabled=False)]
    for stream in (server_sdk.definitions(), client_sdk.results("ada")):
        parts = [(await stream.frame()).change_set]
        later.append(await operator.update("flag-0", enabled=len(later) % 2 == 0))
        while not parts[-1].last:
            parts.append((await stream.frame()).change_set)
        assert len(parts) > 1
        assert [each.part for each in parts] == list(range(len(parts)))
        assert len({(each.kind, each.revision) for each in parts}) == 1
        assert parts[0].revision > committed.revision
        await stream.reach(later[-1].revision)


async def test_isolated_no_stream_sees_another_environment(
    service: RunningEvaluation,
    server_sdk: EvaluationClient,
    operator: Operator,
    store: MongoStore,
) -> None:
    ours = await read_environment(store, operator.environment_id)
    other = await make_environment(store, ours.meta.scope_id, "other")
    secret, _ = await new_sdk_key(store, other.id, SdkKeyKind.SERVER)
    stream, strange = server_sdk.definitions(), service.client(secret).definitions()
    await stream.change()
    await strange.change()
    first = await operator.create(flag("ours"))
    second = await Operator(store, other.id).create(flag("theirs"))
    await stream.reach(first.revision)
    await strange.reach(second.revision)
    assert set(stream.flags) == {"ours"}
    assert set(strange.flags) == {"theirs"}


async def test_isolated_no_client_stream_sees_a_rule(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    rule = Rule("secret-id", "secret name", (), OFF)
    await operator.create(flag("a", rules=(rule,)), segment("s-1", "secret-segment"))
    stream = client_sdk.results("ada")
    await stream.change()
    assert stream.results["a"].value is False
    assert not any(b"secret" in frame for frame in stream.raw)


async def test_current_a_change_without_a_notice_arrives_within_a_second_of_the_poll(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    stream = server_sdk.definitions()
    await stream.change()
    committed = await operator.create(flag("a"))
    started = time.monotonic()
    await stream.reach(committed.revision)
    assert time.monotonic() - started < Timing().poll_interval + 1


async def test_current_a_notice_needs_no_poll(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    async with running_evaluation(store, bus, Timing(poll_interval=NEVER)) as service:
        stream = service.client(server_key).definitions()
        await stream.change()
        committed = await operator.create(flag("a"))
        await operator.announce(bus, committed)
        await stream.reach(committed.revision)


async def test_current_a_notice_over_rabbitmq_needs_no_poll(
    store: MongoStore, amqp_url: str, server_key: str, operator: Operator
) -> None:
    async with own_topology(amqp_url) as prefix:
        bus = RabbitMqBus.open(amqp_url, prefix=prefix)
        try:
            async with running_evaluation(store, bus, Timing(poll_interval=NEVER)) as service:
                stream = service.client(server_key).definitions()
                await stream.change()
                committed = await operator.create(flag("a"))
                await operator.announce(bus, committed)
                await stream.reach(committed.revision)
        finally:
            await bus.close()
