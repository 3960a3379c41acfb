from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from services.runtime.errors import AlreadyExists, InvalidArgument, NotFound, StaleVersion
from services.storage.model.changes import Committed, WriteOptions
from services.storage.model.kinds import FLAG, SEGMENT
from services.storage.model.queries import AuditQuery
from services.storage.mongodb import MongoStore
from services.storage.ports.resources import RevisionMoved
from tests.integration.storage.records import (
    NOON,
    change,
    create,
    delete,
    flag,
    full_flag,
    full_segment,
    segment,
    update,
)
from tests.support.resources import ADA, Environment, read_environment
from tests.support.waiting import PATIENCE


async def assert_nothing_was_written(
    store: MongoStore, environment: Environment, since: Committed | None = None
) -> None:
    """Revision, audit log and outbox are as the commit ``since`` left them."""
    revision = since.revision if since else environment.revision
    assert (await read_environment(store, environment.id)).meta.revision == revision
    entries = await store.resources.list_audit_entries(AuditQuery(100, scope_id=environment.id))
    assert all(entry.revision <= revision for entry in entries.items)
    assert all(entry.revision <= revision for entry in await store.outbox.list_outbox(100))


async def test_a_flag_and_a_segment_are_read_back_as_they_were_written(
    store: MongoStore, environment: Environment
) -> None:
    written = create(full_flag(), full_segment())
    committed = await store.resources.commit(change(environment.id, *written))
    stored_flag, stored_segment = committed.resources
    assert stored_flag is not None
    assert stored_segment is not None
    revision = committed.revision
    for stored, made in ((stored_flag, full_flag()), (stored_segment, full_segment())):
        definition = replace(made.definition, version=1, revision=revision)
        assert stored.content == replace(made, definition=definition)  # type: ignore[arg-type]
        assert (stored.meta.version, stored.meta.revision) == (1, committed.revision)
        assert stored.meta.created_by == stored.meta.updated_by == ADA
    assert await store.resources.get(FLAG, environment.id, "full") == stored_flag
    assert await store.resources.get(SEGMENT, environment.id, "full") == stored_segment


async def test_a_change_leaves_its_audit_entries_and_one_announcement(
    store: MongoStore, environment: Environment
) -> None:
    writes = create(flag("a"), segment("s-1", "vip"))
    committed = await store.resources.commit(change(environment.id, *writes, comment="why"))
    entries = await store.resources.list_audit_entries(AuditQuery(100, scope_id=environment.id))
    names = [entry.path.rpartition("production/")[2] for entry in entries.items]
    assert names == ["segments/vip", "flags/a"]
    entry = entries.items[1]
    assert (entry.actor, entry.operation, entry.comment) == (ADA, "create", "why")
    assert entry.before == ""
    assert json.loads(entry.after)["revision"] == committed.revision == entry.revision
    [announced] = await store.outbox.list_outbox(100)
    assert (announced.environment_id, announced.revision) == (environment.id, committed.revision)


async def test_an_update_audits_before_and_after_and_a_deletion_has_no_after(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.resources.commit(change(environment.id, *create(flag("a"))))
    off = update(created.resources[0], enabled=False)
    updated = await store.resources.commit(change(environment.id, off))
    await store.resources.commit(change(environment.id, delete(updated.resources[0])))
    path = "organizations/acme/projects/shop/environments/production/flags/a"
    page = await store.resources.list_audit_entries(AuditQuery(100, path=path))
    deleted, changed, _ = page.items
    assert json.loads(changed.before)["enabled"] is True
    assert json.loads(changed.after)["enabled"] is False
    assert json.loads(deleted.before)["version"] == 2
    assert deleted.after == ""


async def test_revisions_rise_also_when_the_clock_is_set_back(
    mongodb_uri: str, store: MongoStore, environment: Environment, database_name: str
) -> None:
    late = MongoStore.open(
        mongodb_uri, database=database_name, clock=lambda: NOON - timedelta(days=9999)
    )
    first = await store.resources.commit(change(environment.id, *create(flag("a"))))
    second = await late.resources.commit(change(environment.id, *create(flag("b"))))
    third = await late.resources.commit(change(environment.id, *create(flag("c"))))
    await late.close()
    assert [second.revision, third.revision] == [first.revision + 1, first.revision + 2]


async def test_a_revision_is_the_time_in_milliseconds(
    mongodb_uri: str, environment: Environment, database_name: str
) -> None:
    ahead = NOON + timedelta(days=36_500)
    store = MongoStore.open(mongodb_uri, database=database_name, clock=lambda: ahead)
    committed = await store.resources.commit(change(environment.id, *create(flag("a"))))
    await store.close()
    assert committed.revision == round(ahead.timestamp() * 1000)


async def test_concurrent_changes_of_one_environment_never_share_a_revision(
    store: MongoStore, environment: Environment
) -> None:
    changes = [change(environment.id, *create(flag(f"f{n}"))) for n in range(24)]
    done = await asyncio.gather(*map(store.resources.commit, changes))
    assert len({committed.revision for committed in done}) == 24
    current = await read_environment(store, environment.id)
    assert current.meta.revision == max(committed.revision for committed in done)


async def test_of_two_concurrent_updates_of_one_version_one_is_stale(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.resources.commit(change(environment.id, *create(flag("a"))))
    both = [change(environment.id, update(created.resources[0], salt=salt)) for salt in "xy"]
    outcomes = await asyncio.gather(*map(store.resources.commit, both), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Committed", "StaleVersion"]


async def test_a_stale_update_names_the_current_version_and_writes_nothing(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.resources.commit(change(environment.id, *create(flag("a"))))
    stale = created.resources[0]
    last = await store.resources.commit(change(environment.id, update(stale, enabled=False)))
    attempt = change(environment.id, *create(flag("b")), update(stale, salt="x"))
    with pytest.raises(StaleVersion) as refusal:
        await store.resources.commit(attempt)
    assert refusal.value.metadata["current_version"] == "2"
    with pytest.raises(NotFound):
        await store.resources.get(FLAG, environment.id, "b")
    await assert_nothing_was_written(store, environment, last)


async def test_a_taken_key_is_refused_and_nothing_is_written(
    store: MongoStore, environment: Environment
) -> None:
    first = await store.resources.commit(
        change(environment.id, *create(flag("a"), segment("s-1", "vip")))
    )
    for taken in (flag("a"), segment("s-2", "vip"), segment("s-1", "other")):
        with pytest.raises(AlreadyExists):
            await store.resources.commit(change(environment.id, *create(flag("new"), taken)))
    await assert_nothing_was_written(store, environment, first)
    assert await store.resources.find(FLAG, environment.id, ["new"]) == []


async def test_a_change_that_is_based_on_an_older_revision_is_refused(
    store: MongoStore, environment: Environment
) -> None:
    based_on = environment.revision
    first = await store.resources.commit(
        change(environment.id, *create(flag("a")), expected_revision=based_on)
    )
    with pytest.raises(RevisionMoved):
        await store.resources.commit(
            change(environment.id, *create(flag("b")), expected_revision=based_on)
        )
    await assert_nothing_was_written(store, environment, first)
    again = change(environment.id, *create(flag("b")), expected_revision=first.revision)
    assert (await store.resources.commit(again)).revision > first.revision


async def test_a_change_of_an_unknown_environment_is_refused(store: MongoStore) -> None:
    with pytest.raises(NotFound):
        await store.resources.commit(change("nowhere", *create(flag("a"))))
    assert await store.outbox.list_outbox(10) == []


async def test_two_writes_of_one_item_in_a_change_are_refused(
    store: MongoStore, environment: Environment
) -> None:
    with pytest.raises(InvalidArgument):
        await store.resources.commit(change(environment.id, *create(flag("a"), flag("a"))))


async def test_a_repeated_request_answers_with_the_first_outcome(
    store: MongoStore, environment: Environment
) -> None:
    writes = create(flag("a"), segment("s-1", "vip"))
    request = change(environment.id, *writes, options=WriteOptions("r-1"))
    first = await store.resources.commit(request)
    later = await store.resources.commit(
        change(environment.id, update(first.resources[0], enabled=False))
    )
    assert await store.resources.commit(request) == replace(first, replayed=True, since=0)
    await assert_nothing_was_written(store, environment, later)


async def test_a_repeated_deletion_answers_with_no_record(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.resources.commit(change(environment.id, *create(flag("a"))))
    request = change(environment.id, delete(created.resources[0]), options=WriteOptions("r-1"))
    first = await store.resources.commit(request)
    assert first.resources == (None,)
    assert await store.resources.commit(request) == replace(first, replayed=True, since=0)


async def test_concurrent_requests_with_one_id_write_once(
    store: MongoStore, environment: Environment
) -> None:
    request = change(environment.id, *create(flag("a")), options=WriteOptions("r-1"))
    done = await asyncio.gather(*(store.resources.commit(request) for _ in range(8)))
    assert sorted(committed.replayed for committed in done) == [False] + [True] * 7
    assert len({committed.revision for committed in done}) == 1


async def test_a_request_id_cannot_be_used_for_another_change(
    store: MongoStore, environment: Environment
) -> None:
    first = change(environment.id, *create(flag("a")), options=WriteOptions("r-1"))
    created = await store.resources.commit(first)
    other = change(
        environment.id, delete(created.resources[0]), options=WriteOptions("r-1", "other")
    )
    with pytest.raises(InvalidArgument, match="request_id"):
        await store.resources.commit(other)
    await assert_nothing_was_written(store, environment, created)


async def test_a_flag_created_anew_continues_the_versions_of_its_tombstone(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.resources.commit(change(environment.id, *create(flag("a"))))
    await store.resources.commit(change(environment.id, delete(created.resources[0])))
    with pytest.raises(NotFound):
        await store.resources.get(FLAG, environment.id, "a")
    anew = await store.resources.commit(change(environment.id, *create(flag("a", salt="new"))))
    assert anew.resources[0] is not None
    assert anew.resources[0].meta.version == 3


async def test_a_deleted_flag_cannot_be_updated(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.resources.commit(change(environment.id, *create(flag("a"))))
    last = await store.resources.commit(change(environment.id, delete(created.resources[0])))
    with pytest.raises(StaleVersion) as refusal:
        await store.resources.commit(change(environment.id, update(created.resources[0], salt="x")))
    assert refusal.value.metadata["current_version"] == "2"
    await assert_nothing_was_written(store, environment, last)


async def test_a_segment_key_is_free_again_after_deletion_also_in_the_same_change(
    store: MongoStore, environment: Environment
) -> None:
    created = await store.resources.commit(change(environment.id, *create(segment("s-1", "vip"))))
    swapped = change(environment.id, *create(segment("s-2", "vip")), delete(created.resources[0]))
    await store.resources.commit(swapped)
    assert (
        await store.resources.get(SEGMENT, environment.id, "vip")
    ).content.definition.id == "s-2"
    last = await store.resources.commit(change(environment.id, *create(segment("s-1", "old"))))
    assert last.resources[0] is not None
    assert last.resources[0].meta.version == 3


async def test_an_import_of_two_thousand_items_is_one_change(
    store: MongoStore, environment: Environment
) -> None:
    flags = [flag(f"f{n:04}") for n in range(1_000)]
    segments = [segment(f"id-{n:04}", f"s{n:04}") for n in range(1_000)]
    committed = await store.resources.commit(change(environment.id, *create(*flags, *segments)))
    read = await store.definitions.read_definitions(environment.id)
    assert len(read.flags) == len(read.segments) == 1_000
    assert {one.revision for one in read.flags} == {committed.revision}
    assert {one.revision for one in read.segments} == {committed.revision}
    assert len(await store.outbox.list_outbox(10)) == 1
    replaced = [update(record, archived=True) for record in committed.resources]
    again = await store.resources.commit(change(environment.id, *replaced))
    assert {record.meta.version for record in again.resources if record} == {2}


async def test_the_largest_import_fits_into_one_change(
    store: MongoStore, environment: Environment
) -> None:
    largest = create(
        *(flag(f"f{n}", rules=full_flag().definition.rules) for n in range(5_000)),
        *(segment(f"id-{n}", f"s{n}") for n in range(5_000)),
    )
    committed = await store.resources.commit(change(environment.id, *largest))
    assert len(committed.resources) == 10_000
    read = await store.definitions.read_heads([environment.id])
    assert read[environment.id].revision == committed.revision


async def test_a_cancelled_change_does_not_hold_its_environment(
    store: MongoStore, environment: Environment
) -> None:
    flags = [flag(f"f{n}") for n in range(200)]
    commit = asyncio.create_task(store.resources.commit(change(environment.id, *create(*flags))))
    await asyncio.sleep(0)
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    async with asyncio.timeout(PATIENCE):
        await store.resources.commit(change(environment.id, *create(flag("after"))))


async def test_an_item_that_is_too_large_to_store_is_the_callers_fault(
    store: MongoStore, environment: Environment
) -> None:
    huge = segment("s-1", "huge", included=("x" * 17 * 1024 * 1024,))
    with pytest.raises(InvalidArgument):
        await store.resources.commit(change(environment.id, *create(huge)))
    await assert_nothing_was_written(store, environment)


async def test_an_announced_change_is_deleted_from_the_outbox(
    store: MongoStore, environment: Environment
) -> None:
    for key in "abc":
        await store.resources.commit(change(environment.id, *create(flag(key))))
    first, second = await store.outbox.list_outbox(2)
    assert first.revision < second.revision
    await store.outbox.delete_outbox([first.id, second.id])
    [left] = await store.outbox.list_outbox(10)
    assert left.revision > second.revision
