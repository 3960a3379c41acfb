from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.evaluation.replica.view import View
from services.runtime.errors import AlreadyExists
from services.storage.model.kinds import FLAG, SEGMENT
from services.storage.mongodb import MongoStore
from services.storage.mongodb.resources import definitions
from tests.integration.storage.clock import Clock
from tests.integration.storage.records import change, create, delete, flag, segment
from tests.support.resources import Environment, make_environment

DAY = timedelta(days=1)
RETENTION = 30 * DAY


async def test_of_two_holders_one_has_the_lease_until_it_runs_out_or_is_released(
    moved: MongoStore, clock: Clock
) -> None:
    async def hold(holder: str) -> bool:
        return await moved.maintenance.hold_lease("work", holder, DAY)

    assert await hold("ada")
    assert not await hold("bob")
    clock.time += DAY / 2
    assert await hold("ada"), "it can be prolonged"
    clock.time += DAY * 3 / 4
    assert not await hold("bob")
    clock.time += DAY / 4
    assert await hold("bob"), "it has run out"
    await moved.maintenance.release_lease("work", "ada")
    assert not await hold("ada"), "only its holder can release it"
    await moved.maintenance.release_lease("work", "bob")
    assert await hold("ada")


async def test_of_many_that_want_a_free_lease_at_once_one_gets_it(store: MongoStore) -> None:
    wanted = (store.maintenance.hold_lease("work", f"holder-{n}", DAY) for n in range(8))
    assert sorted(await asyncio.gather(*wanted)) == [False] * 7 + [True]


async def tombstones(store: MongoStore, environment_id: str, *records: Any) -> int:
    """Creates and deletes; the revision of the tombstones."""
    created = await store.resources.commit(change(environment_id, *create(*records)))
    gone = change(environment_id, *(delete(record) for record in created.resources))
    return (await store.resources.commit(gone)).revision


async def test_tombstones_go_after_their_retention_and_the_floor_rises_to_the_newest(
    moved: MongoStore, environment: Environment, clock: Clock
) -> None:
    await tombstones(moved, environment.id, flag("a"))
    last = await tombstones(moved, environment.id, flag("b"), segment("s-1", "vip"))
    live = await moved.resources.commit(change(environment.id, *create(flag("live"))))
    clock.time += RETENTION
    young = await tombstones(moved, environment.id, flag("c"))

    assert await moved.maintenance.compact_tombstones(RETENTION, 100) == 0, "not older than that"
    clock.time += timedelta(minutes=1)
    assert await moved.maintenance.compact_tombstones(RETENTION, 100) == 3
    assert await moved.maintenance.compact_tombstones(RETENTION, 100) == 0

    read = await moved.definitions.read_definitions(environment.id)
    assert (read.floor, read.revision) == (last, young)
    assert [(each.key, each.revision) for each in read.deleted_flags] == [("c", young)]
    assert read.deleted_segments == ()
    assert [each.revision for each in read.flags] == [live.revision]


async def test_a_reader_at_the_floor_resumes_and_one_just_below_it_starts_anew(
    moved: MongoStore, environment: Environment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor = await tombstones(moved, environment.id, flag("a"))
    clock.time += RETENTION + DAY
    late = await moved.resources.commit(change(environment.id, *create(flag("b"))))
    await moved.maintenance.compact_tombstones(RETENTION, 100)

    view = View.of(await moved.definitions.read_definitions(environment.id))
    assert view.continues(floor)
    assert not view.continues(floor - 1)
    patch = await moved.definitions.read_changes(environment.id, floor)
    assert patch.floor <= floor, "a replica at the floor reads on"
    assert [each.key for each in patch.flags] == ["b"]
    assert patch.deleted_flags == ()
    gap = await moved.definitions.read_changes(environment.id, floor - 1)
    assert gap.revision == late.revision
    assert [each.key for each in gap.deleted_flags] == ["a"], "the history still tells of it"
    monkeypatch.setattr(definitions, "HISTORY_ENTRIES", 0)
    gap = await moved.definitions.read_changes(environment.id, floor - 1)
    assert gap.revision == late.revision
    assert gap.floor > floor - 1, "a replica below it must read everything"


async def test_the_history_tells_of_the_floor_with_the_next_change(
    moved: MongoStore, environment: Environment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor = await tombstones(moved, environment.id, flag("a"))
    clock.time += RETENTION + DAY
    await moved.maintenance.compact_tombstones(RETENTION, 100)
    late = await moved.resources.commit(change(environment.id, *create(flag("b"))))
    monkeypatch.delattr(definitions.MongoDefinitions, "_read")
    read = await moved.definitions.read_changes(environment.id, late.since)
    assert (read.floor, read.revision) == (floor, late.revision)


async def test_compaction_is_bounded_and_takes_the_oldest_first(
    moved: MongoStore, environment: Environment, clock: Clock
) -> None:
    revisions = [await tombstones(moved, environment.id, flag(key)) for key in "abc"]
    clock.time += RETENTION + DAY
    for revision in revisions:
        assert await moved.maintenance.compact_tombstones(RETENTION, 1) == 1
        read = await moved.definitions.read_definitions(environment.id)
        assert read.floor == revision
    assert read.deleted_flags == ()


async def test_every_environment_has_its_turn_and_only_its_own_floor_rises(
    moved: MongoStore, environment: Environment, clock: Clock
) -> None:
    project_id = environment.project_id
    other = await make_environment(moved, project_id, "staging")
    untouched = await make_environment(moved, project_id, "test")
    expected = {
        each.id: await tombstones(moved, each.id, flag("a")) for each in (environment, other)
    }
    clock.time += RETENTION + DAY
    assert [await moved.maintenance.compact_tombstones(RETENTION, 10) for _ in range(3)] == [
        1,
        1,
        0,
    ]
    floors = {each: (await moved.definitions.read_definitions(each)).floor for each in expected}
    assert floors == expected
    assert (await moved.definitions.read_definitions(untouched.id)).floor == 0


async def test_a_key_that_is_taken_again_after_compaction_continues_its_versions(
    moved: MongoStore, environment: Environment, clock: Clock
) -> None:
    await tombstones(moved, environment.id, flag("a"), segment("s-1", "vip"))
    clock.time += RETENTION + DAY
    await moved.maintenance.compact_tombstones(RETENTION, 10)

    again = change(environment.id, *create(flag("a"), segment("s-1", "vip"), flag("new")))
    committed = await moved.resources.commit(again)

    assert [each.meta.version for each in committed.resources if each] == [3, 3, 1]
    page = await moved.resources.history(FLAG, environment.id, "a", 10, "")
    assert [each.version for each in page.items] == [3, 2, 1]
    with pytest.raises(AlreadyExists):
        await moved.resources.commit(change(environment.id, *create(flag("a"))))


async def test_a_compacted_segment_is_still_found_in_the_history_by_its_key(
    moved: MongoStore, environment: Environment, clock: Clock
) -> None:
    await tombstones(moved, environment.id, segment("s-1", "vip"))
    clock.time += RETENTION + DAY
    await moved.maintenance.compact_tombstones(RETENTION, 10)
    earlier = await moved.resources.version(SEGMENT, environment.id, "vip", 1)
    assert earlier.stored is not None
    assert earlier.stored.content.definition.id == "s-1"


async def test_compaction_and_commits_at_once_lose_neither_a_version_nor_a_tombstone(
    moved: MongoStore, environment: Environment, clock: Clock
) -> None:
    keys = [f"f{n}" for n in range(12)]
    await tombstones(moved, environment.id, *map(flag, keys))
    clock.time += RETENTION + DAY
    commits = (moved.resources.commit(change(environment.id, *create(flag(key)))) for key in keys)
    compactions = (moved.maintenance.compact_tombstones(RETENTION, 3) for _ in range(6))
    committed, removed = await asyncio.gather(
        asyncio.gather(*commits), asyncio.gather(*compactions)
    )
    versions = [each.meta.version for one in committed for each in one.resources if each]
    assert versions == [3] * len(keys)
    assert sum(removed) <= len(keys)
    read = await moved.definitions.read_definitions(environment.id)
    assert sorted(each.key for each in read.flags) == sorted(keys)
