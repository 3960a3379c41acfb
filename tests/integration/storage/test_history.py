from __future__ import annotations

import pytest

from services.runtime.errors import NotFound, StaleVersion
from services.storage.model.changes import ItemChange, WriteOptions
from services.storage.model.kinds import FLAG, SEGMENT
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import change, create, delete, flag, segment, update
from tests.integration.storage.test_commit import assert_nothing_was_written
from tests.integration.storage.test_lists import all_pages
from tests.support.resources import Environment


async def test_every_version_is_listed_newest_first_deletions_included(
    store: MongoStore, environment: Environment
) -> None:
    first = await store.resources.commit(change(environment.id, *create(flag("a"), flag("b"))))
    second = await store.resources.commit(
        change(environment.id, update(first.resources[0], salt="x"))
    )
    third = await store.resources.commit(change(environment.id, delete(second.resources[0])))

    pages = await all_pages(
        lambda token: store.resources.history(FLAG, environment.id, "a", 2, token)
    )

    assert [[each.version for each in page] for page in pages] == [[3, 2], [1]]
    newest, middle, oldest = [each for page in pages for each in page]
    assert (newest.stored, newest.revision) == (None, third.revision)
    assert (middle.stored, middle.revision) == (second.resources[0], second.revision)
    assert oldest.stored == first.resources[0]


async def test_a_segments_history_is_that_of_the_last_one_that_had_the_key(
    store: MongoStore, environment: Environment
) -> None:
    async def versions() -> list[tuple[str, int]]:
        page = await store.resources.history(SEGMENT, environment.id, "vip", 10, "")
        return [
            (each.stored.content.definition.id if each.stored else "", each.version)
            for each in page.items
        ]

    old = await store.resources.commit(change(environment.id, *create(segment("s-1", "vip"))))
    swap = change(environment.id, *create(segment("s-2", "vip")), delete(old.resources[0]))
    new = await store.resources.commit(swap)
    assert await versions() == [("s-2", 1)]
    await store.resources.commit(change(environment.id, delete(new.resources[0])))
    assert await versions() == [("", 2), ("s-2", 1)]


async def test_what_never_was_has_no_history(store: MongoStore, environment: Environment) -> None:
    await store.resources.commit(change(environment.id, *create(flag("a"), segment("s-1", "vip"))))
    for call, text in (
        (store.resources.history(FLAG, environment.id, "vip", 10, ""), "flag 'vip' does not exist"),
        (store.resources.history(SEGMENT, environment.id, "s-2", 10, ""), "segment 's-2'"),
        (store.resources.history(FLAG, "nowhere", "a", 10, ""), "environment 'nowhere'"),
        (store.resources.version(FLAG, environment.id, "a", 2), "flag 'a' has no version 2"),
        (store.resources.version(SEGMENT, environment.id, "vip", 2), "has no version 2"),
    ):
        with pytest.raises(NotFound, match=text):
            await call


async def test_a_revival_must_continue_the_tombstone_that_it_was_planned_for(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.resources.commit(change(environment.id, *create(flag("a"))))
    revival = change(
        environment.id, ItemChange(FLAG, "rollback", None, flag("a"), restores_version=2)
    )
    with pytest.raises(StaleVersion):  # it is alive
        await store.resources.commit(revival)
    await store.resources.commit(change(environment.id, delete(created.resources[0])))
    again = await store.resources.commit(revival)
    assert again.resources[0] is not None
    assert again.resources[0].meta.version == 3
    last = await store.resources.commit(change(environment.id, delete(again.resources[0])))
    with pytest.raises(StaleVersion) as refusal:  # it is a later tombstone
        await store.resources.commit(revival)
    assert refusal.value.metadata["current_version"] == "4"
    await assert_nothing_was_written(store, environment, last)


async def test_a_rehearsal_answers_as_the_change_would_and_writes_nothing(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.resources.commit(change(environment.id, *create(flag("a"))))
    off = update(created.resources[0], enabled=False)
    rehearsal = change(environment.id, off, options=WriteOptions("r-1", validate_only=True))
    for _ in range(2):
        rehearsed = await store.resources.commit(rehearsal)
        assert rehearsed.revision == created.revision
        assert not rehearsed.replayed
        [record] = rehearsed.resources
        assert record is not None
        assert (record.meta.version, record.meta.revision) == (2, 0)
    await assert_nothing_was_written(store, environment, created)
    assert await store.resources.find_committed(environment.id, WriteOptions("r-1")) is None


async def test_a_request_that_found_nothing_to_do_is_remembered_with_what_it_found(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.resources.commit(change(environment.id, *create(flag("a"), flag("b"))))
    found = tuple(record for record in created.resources if record)
    request = WriteOptions("r-1")
    kept = await store.resources.commit(change(environment.id, unchanged=found, options=request))
    assert (kept.revision, kept.resources, kept.unchanged) == (created.revision, (), found)
    await assert_nothing_was_written(store, environment, created)

    await store.resources.commit(change(environment.id, update(created.resources[0], salt="x")))
    replayed = await store.resources.find_committed(environment.id, request)
    assert replayed is not None
    assert replayed.revision == created.revision
    assert sorted(each.key for each in replayed.unchanged) == ["a", "b"]
    assert {each.meta.version for each in replayed.unchanged} == {1}
