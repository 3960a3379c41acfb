from __future__ import annotations

import pytest

from services.runtime.errors import NotFound, StaleVersion
from services.storage.model.changes import Request, Write
from services.storage.model.tenancy import Environment
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import change, create, delete, flag, segment, update
from tests.integration.storage.test_commit import assert_nothing_was_written
from tests.integration.storage.test_lists import all_pages


async def test_every_version_is_listed_newest_first_deletions_included(
    store: MongoStore, environment: Environment
) -> None:
    first = await store.items.commit(change(environment.id, *create(flag("a"), flag("b"))))
    second = await store.items.commit(change(environment.id, update(first.records[0], salt="x")))
    third = await store.items.commit(change(environment.id, delete(second.records[0])))

    pages = await all_pages(
        lambda token: store.items.list_flag_versions(environment.id, "a", 2, token)
    )

    assert [[each.version for each in page] for page in pages] == [[3, 2], [1]]
    newest, middle, oldest = [each for page in pages for each in page]
    assert (newest.record, newest.revision) == (None, third.revision)
    assert (middle.record, middle.revision) == (second.records[0], second.revision)
    assert oldest.record == first.records[0]


async def test_a_segments_history_is_that_of_the_last_one_that_had_the_key(
    store: MongoStore, environment: Environment
) -> None:
    async def versions() -> list[tuple[str, int]]:
        page = await store.items.list_segment_versions(environment.id, "vip", 10, "")
        return [(each.record.item.id if each.record else "", each.version) for each in page.items]

    old = await store.items.commit(change(environment.id, *create(segment("s-1", "vip"))))
    swap = change(environment.id, *create(segment("s-2", "vip")), delete(old.records[0]))
    new = await store.items.commit(swap)
    assert await versions() == [("s-2", 1)]
    await store.items.commit(change(environment.id, delete(new.records[0])))
    assert await versions() == [("", 2), ("s-2", 1)]


async def test_what_never_was_has_no_history(store: MongoStore, environment: Environment) -> None:
    await store.items.commit(change(environment.id, *create(flag("a"), segment("s-1", "vip"))))
    items = store.items
    for call, text in (
        (items.list_flag_versions(environment.id, "vip", 10, ""), "flag 'vip' does not exist"),
        (items.list_segment_versions(environment.id, "s-1", 10, ""), "segment 's-1'"),
        (items.list_flag_versions("nowhere", "a", 10, ""), "environment 'nowhere'"),
        (items.get_flag_version(environment.id, "a", 2), "flag 'a' has no version 2"),
        (items.get_segment_version(environment.id, "vip", 2), "has no version 2"),
    ):
        with pytest.raises(NotFound, match=text):
            await call


async def test_a_revival_must_continue_the_tombstone_that_it_was_planned_for(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.items.commit(change(environment.id, *create(flag("a"))))
    revival = change(environment.id, Write("rollback", None, flag("a"), revives=2))
    with pytest.raises(StaleVersion):  # it is alive
        await store.items.commit(revival)
    await store.items.commit(change(environment.id, delete(created.records[0])))
    again = await store.items.commit(revival)
    assert again.records[0] is not None
    assert again.records[0].item.version == 3
    last = await store.items.commit(change(environment.id, delete(again.records[0])))
    with pytest.raises(StaleVersion) as refusal:  # it is a later tombstone
        await store.items.commit(revival)
    assert refusal.value.metadata["current_version"] == "4"
    await assert_nothing_was_written(store, environment, last)


async def test_a_rehearsal_answers_as_the_change_would_and_writes_nothing(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.items.commit(change(environment.id, *create(flag("a"))))
    off = update(created.records[0], enabled=False)
    rehearsal = change(environment.id, off, request=Request("r-1", validate_only=True))
    for _ in range(2):
        rehearsed = await store.items.commit(rehearsal)
        assert rehearsed.revision == created.revision
        assert not rehearsed.replayed
        [record] = rehearsed.records
        assert record is not None
        assert (record.item.version, record.item.revision) == (2, 0)
    await assert_nothing_was_written(store, environment, created)
    assert await store.items.find_committed(environment.id, Request("r-1")) is None


async def test_a_request_that_found_nothing_to_do_is_remembered_with_what_it_found(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.items.commit(change(environment.id, *create(flag("a"), flag("b"))))
    found = tuple(record for record in created.records if record)
    request = Request("r-1")
    kept = await store.items.commit(change(environment.id, kept=found, request=request))
    assert (kept.revision, kept.records, kept.kept) == (created.revision, (), found)
    await assert_nothing_was_written(store, environment, created)

    await store.items.commit(change(environment.id, update(created.records[0], salt="x")))
    replayed = await store.items.find_committed(environment.id, request)
    assert replayed is not None
    assert replayed.revision == created.revision
    assert sorted(each.item.key for each in replayed.kept) == ["a", "b"]
    assert {each.item.version for each in replayed.kept} == {1}
