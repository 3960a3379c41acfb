from __future__ import annotations

from services.messaging.inprocess import InProcessBus
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import delete, flag, segment, update
from tests.support.evaluation import NEVER, EvaluationClient, Timing, running_evaluation


async def test_several_changes_come_as_one_difference_tombstones_included(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    held = await operator.create(flag("kept"), flag("changed"), flag("gone"), segment("s-1", "old"))
    await operator.commit(
        update(held.resources[1], enabled=False),
        delete(held.resources[2]),
        delete(held.resources[3]),
    )
    committed = await operator.create(flag("new"))
    changes = await server_sdk.definitions(await operator.token(held.revision)).change()
    assert not changes.full
    assert changes.revision == committed.revision
    assert {each.key for each in changes.flags} == {"changed", "new"}
    assert changes.deleted_flag_keys == ("gone",)
    assert changes.deleted_segment_ids == ("s-1",)


async def test_a_flag_that_was_deleted_and_made_anew_has_no_tombstone(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    stream = server_sdk.definitions()
    await stream.change()
    held = await operator.create(flag("a"))
    await stream.reach(held.revision)
    await stream.reach((await operator.delete("a")).revision)
    await stream.reach((await operator.create(flag("a", salt="anew"))).revision)
    changes = await server_sdk.definitions(await operator.token(held.revision)).change()
    assert [each.salt for each in changes.flags] == ["anew"]
    assert changes.deleted_flag_keys == ()


async def test_a_revision_below_the_floor_gets_everything_without_tombstones(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    held = await operator.create(flag("kept"), flag("gone"))
    floor = (await operator.delete("gone")).revision + 1
    await operator.raise_floor(floor)
    changes = await server_sdk.definitions(await operator.token(held.revision)).change()
    assert changes.full
    assert [each.key for each in changes.flags] == ["kept"]
    assert changes.deleted_flag_keys == ()


async def test_a_connected_reader_that_fell_below_the_floor_gets_everything(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("kept"), flag("gone"))
    stream = server_sdk.definitions()
    held = await stream.change()
    await operator.raise_floor(held.revision + 1)
    committed = await operator.delete("gone")
    changes = await stream.change()
    assert (changes.full, changes.revision) == (True, committed.revision)
    assert set(stream.flags) == {"kept"}


async def test_a_reader_that_another_replica_brought_further_is_not_taken_back(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    async with running_evaluation(store, bus, Timing(poll_interval=NEVER)) as behind:
        sdk = behind.client(server_key)
        await sdk.definitions().change()
        committed = await operator.create(flag("a"))
        changes = await sdk.definitions(await operator.token(committed.revision)).change()
    assert (changes.full, changes.revision) == (False, committed.revision)
