from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.runtime.errors import NotFound
from services.storage.model.changes import AnyItemChange
from services.storage.model.definitions import Definitions, Tombstone
from services.storage.model.resource import AnyStored
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver import client as connection
from services.storage.mongodb.resources import definitions
from tests.integration.storage.records import (
    change,
    create,
    delete,
    flag,
    full_flag,
    segment,
    update,
)
from tests.support.resources import Environment, make_environment


def in_order(read: Definitions) -> Definitions:
    """The same, whatever the order in which it was read."""
    return replace(
        read,
        flags=tuple(sorted(read.flags, key=lambda one: one.key)),
        segments=tuple(sorted(read.segments, key=lambda one: one.id)),
        deleted_flags=tuple(sorted(read.deleted_flags, key=lambda one: one.key)),
        deleted_segments=tuple(sorted(read.deleted_segments, key=lambda one: one.key)),
    )


async def test_changes_hold_only_what_is_newer_with_tombstones(
    store: MongoStore, environment: Environment
) -> None:
    writes = create(flag("a"), flag("b"), flag("c"), segment("s-1", "vip"), segment("s-2", "old"))
    first = await store.resources.commit(change(environment.id, *writes))
    a, b, _, vip, _ = first.resources
    second = await store.resources.commit(
        change(environment.id, update(a, enabled=False), delete(b), delete(vip))
    )
    read = await store.definitions.read_changes(environment.id, first.revision)
    assert read.revision == second.revision
    assert [(one.key, one.enabled, one.version) for one in read.flags] == [("a", False, 2)]
    assert read.segments == ()
    assert read.deleted_flags == (Tombstone("b", second.revision),)
    assert read.deleted_segments == (Tombstone("s-1", second.revision),)


async def test_changes_that_need_several_answers_of_the_store_are_whole(
    store: MongoStore, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_ONE_BATCH", 2)
    writes = create(*(flag(key) for key in "abcde"), segment("s-1", "vip"))
    done = await store.resources.commit(change(environment.id, *writes))
    read = await store.definitions.read_changes(environment.id, done.revision - 1)
    assert sorted(one.key for one in read.flags) == list("abcde")
    assert [one.id for one in read.segments] == ["s-1"]


async def test_the_history_tells_of_changes_what_the_items_tell(
    store: MongoStore, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = create(flag("a"), flag("b"), flag("c"), segment("s-1", "vip"))
    a, b, c, vip = (await store.resources.commit(change(environment.id, *writes))).resources
    made: list[int] = []

    async def commit(*writes: AnyItemChange) -> Sequence[AnyStored | None]:
        done = await store.resources.commit(change(environment.id, *writes))
        made.append(done.since)
        return done.resources

    (a,) = await commit(update(a, enabled=False))
    await commit(update(a, enabled=True), delete(b))
    await commit(update(vip, included=("ada",)), delete(c), *create(full_flag()))
    await commit(*create(flag("b"), segment("s-2", "new")))

    for since in made:
        with monkeypatch.context() as patch:
            patch.setattr(definitions, "HISTORY_ENTRIES", 0)
            stored = await store.definitions.read_changes(environment.id, since)
        with monkeypatch.context() as patch:
            patch.delattr(definitions.MongoDefinitions, "_read")  # nobody else is asked
            told = await store.definitions.read_changes(environment.id, since)
        assert in_order(told) == in_order(replace(stored, epoch=b""))


async def test_changes_that_are_too_many_for_the_history_are_whole(
    store: MongoStore, environment: Environment
) -> None:
    keys = [f"f{number:03}" for number in range(definitions.HISTORY_ENTRIES + 1)]
    done = await store.resources.commit(change(environment.id, *create(*map(flag, keys))))
    read = await store.definitions.read_changes(environment.id, done.revision - 1)
    assert sorted(one.key for one in read.flags) == keys


async def test_changes_are_read_from_a_store_without_the_histories_index(
    store: MongoStore, environment: Environment
) -> None:
    done = await store.resources.commit(change(environment.id, *create(flag("a"))))
    history = store._connection["item_history"]
    await history.drop_index("environment_1_revision_1_position_1")
    try:
        read = await store.definitions.read_changes(environment.id, done.revision - 1)
    finally:
        await store.migrate()
    assert [one.key for one in read.flags] == ["a"]


async def test_definitions_hold_everything_archived_and_deleted_too(
    store: MongoStore, environment: Environment
) -> None:
    writes = create(flag("a", archived=True), flag("b"), segment("s-1", "vip"))
    first = await store.resources.commit(change(environment.id, *writes))
    await store.resources.commit(change(environment.id, delete(first.resources[1])))
    read = await store.definitions.read_definitions(environment.id)
    assert [one.key for one in read.flags] == ["a"]
    assert [one.id for one in read.segments] == ["s-1"]
    assert [one.key for one in read.deleted_flags] == ["b"]


async def test_nothing_is_newer_than_the_current_revision(
    store: MongoStore, environment: Environment
) -> None:
    done = await store.resources.commit(change(environment.id, *create(flag("a"))))
    read = await store.definitions.read_changes(environment.id, done.revision)
    assert (read.flags, read.deleted_flags, read.revision) == ((), (), done.revision)


async def test_a_flag_created_anew_has_no_tombstone(
    store: MongoStore, environment: Environment
) -> None:
    first = await store.resources.commit(change(environment.id, *create(flag("a"))))
    await store.resources.commit(change(environment.id, delete(first.resources[0])))
    await store.resources.commit(change(environment.id, *create(flag("a"))))
    read = await store.definitions.read_changes(environment.id, first.revision)
    assert [one.key for one in read.flags] == ["a"]
    assert read.deleted_flags == ()


async def test_a_segment_created_anew_under_another_id_leaves_its_tombstone(
    store: MongoStore, environment: Environment
) -> None:
    first = await store.resources.commit(change(environment.id, *create(segment("s-1", "vip"))))
    await store.resources.commit(change(environment.id, delete(first.resources[0])))
    await store.resources.commit(change(environment.id, *create(segment("s-2", "vip"))))
    read = await store.definitions.read_changes(environment.id, first.revision)
    assert [one.id for one in read.segments] == ["s-2"]
    assert [one.key for one in read.deleted_segments] == ["s-1"]


async def test_every_read_is_one_point_in_time(store: MongoStore, environment: Environment) -> None:
    created = await store.resources.commit(
        change(environment.id, *create(flag("a", salt="0"), segment("s-1", "vip")))
    )
    reading = asyncio.Event()
    stop = asyncio.Event()

    async def write() -> None:
        records = created.resources
        for turn in itertools.count(1):
            await reading.wait()
            if stop.is_set():
                return
            both = update(records[0], salt=str(turn)), update(records[1], included=(str(turn),))
            records = (await store.resources.commit(change(environment.id, *both))).resources

    seen = set()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        reading.set()
        for _ in range(60):
            read = await store.definitions.read_definitions(environment.id)
            assert {read.flags[0].revision, read.segments[0].revision} == {read.revision}
            seen.add(read.revision)
        stop.set()
    assert len(seen) > 1


async def test_environments_do_not_see_each_other(
    store: MongoStore, environment: Environment
) -> None:
    other = await make_environment(store, environment.project_id, "staging")
    await store.resources.commit(change(environment.id, *create(flag("a"))))
    read = await store.definitions.read_definitions(other.id)
    assert (read.flags, read.revision) == ((), other.revision)


async def test_an_unknown_environment_is_not_found(store: MongoStore) -> None:
    with pytest.raises(NotFound):
        await store.definitions.read_definitions("nowhere")
    with pytest.raises(NotFound):
        await store.definitions.read_changes("nowhere", 1)


async def test_revisions_of_known_environments_are_read_at_once(
    store: MongoStore, environment: Environment
) -> None:
    done = await store.resources.commit(change(environment.id, *create(flag("a"))))
    read = await store.definitions.read_heads([environment.id, "nowhere"])
    assert {each: head.revision for each, head in read.items()} == {environment.id: done.revision}


async def test_revisions_that_need_several_answers_of_the_store_are_all_read(
    store: MongoStore, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [
        await make_environment(store, environment.project_id, f"e{number}") for number in range(3)
    ]
    monkeypatch.setattr(connection, "_ONE_BATCH", 2)
    read = await store.definitions.read_heads([each.id for each in made])
    revisions = {each: head.revision for each, head in read.items()}
    assert revisions == {each.id: each.revision for each in made}
