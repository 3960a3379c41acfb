"""What versions of large flags and segments take, and that each is read back exactly."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import bson
import pytest

from featmesh.engine.model import Target
from services.storage.model.changes import Change, ItemChange, WriteOptions
from services.storage.model.kinds import FLAG, SEGMENT
from services.storage.model.queries import AuditQuery, Query
from services.storage.model.resource import AnyStored
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, utc_now
from services.storage.mongodb.resources import history
from services.storage.mongodb.resources.pruning import KEPT_VERSIONS
from tests.integration.storage.clock import Clock
from tests.integration.storage.records import change, create, delete, flag, segment, update
from tests.support.resources import ADA, Environment, only, read_environment, update_environment

DAY = timedelta(days=1)
KEYS = tuple(f"user-{number:06}@example.com" for number in range(100_000))


@pytest.fixture
async def database(
    mongodb_uri: str, database_name: str, store: MongoStore
) -> AsyncIterator[Connection]:
    connection = Connection(mongodb_uri, database_name, utc_now)
    yield connection
    await connection.close()


async def written_bytes(database: Connection, environment: Environment) -> int:
    """Of all history and audit entries of an environment."""
    total = 0
    for collection in ("item_history", "audit_log"):
        found = await database[collection].find({"environment": environment.id}).to_list(None)
        total += sum(len(bson.encode(document)) for document in found)
    return total


async def stored_versions(
    store: MongoStore, environment: Environment, key: str, size: int = 100
) -> list[AnyStored | None]:
    """All, oldest first."""
    found: list[AnyStored | None] = []
    token = ""
    while True:
        page = await store.resources.history(FLAG, environment.id, key, size, token)
        found += [each.stored for each in page.items]
        token = page.next_token
        if not token:
            return found[::-1]


async def test_a_toggle_of_a_flag_with_100_000_targets_takes_50_kilobytes_at_most(
    store: MongoStore, environment: Environment, database: Connection
) -> None:
    large = flag("large", targets=(Target("on", KEYS),))
    made = only(await store.resources.commit(change(environment.id, *create(large))))
    before = await written_bytes(database, environment)
    options = WriteOptions("r-1")
    toggle = change(environment.id, update(made, enabled=False), options=options)
    done = await store.resources.commit(toggle)
    assert await written_bytes(database, environment) - before <= 50 * 1024
    toggled = only(done)
    assert await store.resources.get(FLAG, environment.id, "large") == toggled
    assert await stored_versions(store, environment, "large") == [made, toggled]
    again = await store.resources.find_committed(environment.id, options)
    assert again is not None
    assert again.resources == (toggled,)
    read = await store.definitions.read_changes(environment.id, done.revision - 1)
    assert read.flags == (toggled.content.definition,)
    [row] = (await store.resources.list(FLAG, environment.id, Query(10, is_basic=True))).items
    assert row.counts["targeted_keys"] == 100_000


async def test_every_version_is_read_back_exactly_after_whichever_edits(
    store: MongoStore, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "WHOLE_BYTES", 64)
    monkeypatch.setattr(history, "CHAIN_VERSIONS", 5)
    dice = random.Random(7)
    keys = list(KEYS[:300])
    record = flag("f", targets=(Target("on", tuple(keys)), Target("off", ())))
    current = only(await store.resources.commit(change(environment.id, *create(record))))
    expected: list[AnyStored | None] = [current]
    for turn in range(30):
        fields: dict[str, Any] = {"enabled": turn % 2 == 0}
        edited = dice.sample(keys, len(keys) - turn % 3) if turn % 7 == 0 else list(keys)
        edited.insert(dice.randrange(len(edited)), f"new-{turn}")
        del edited[dice.randrange(len(edited))]
        half = dice.randrange(len(edited))
        fields["targets"] = (
            Target("on", tuple(edited[:half])),
            Target("off", tuple(edited[half:])),
        )
        keys = edited
        if turn == 20:
            await store.resources.commit(change(environment.id, delete(current)))
            expected.append(None)
            item = ItemChange(
                FLAG, "restore", None, current.content, restores_version=current.meta.version + 1
            )
        else:
            item = update(current, **fields)
        current = only(await store.resources.commit(change(environment.id, item)))
        expected.append(current)
    assert await stored_versions(store, environment, "f", size=7) == expected
    for version in (2, 9, 30):
        found = await store.resources.version(FLAG, environment.id, "f", version)
        assert found.stored == expected[version - 1]
    entries = (await store.resources.list_audit_entries(AuditQuery(100))).items
    assert all(each.before or each.before_version == 0 for each in entries)


async def test_a_version_before_a_small_one_is_a_whole_one_to_go_on_from(
    store: MongoStore, environment: Environment
) -> None:
    made = await store.resources.commit(change(environment.id, *create(segment("s-1", "vip"))))
    first = only(made)
    sizes = (2_000, 0, 3_000, 3_001)
    expected = [first]
    for size in sizes:
        item = update(expected[-1], included=KEYS[:size])
        expected.append(only(await store.resources.commit(change(environment.id, item))))
    page = await store.resources.history(SEGMENT, environment.id, "vip", 10, "")
    assert [each.stored for each in page.items] == expected[::-1]
    read = await store.definitions.read_changes(environment.id, first.meta.revision)
    assert [each.included for each in read.segments] == [KEYS[:3_001]]


async def test_a_page_of_versions_ends_by_the_size_of_what_they_stand_for(
    store: MongoStore, environment: Environment
) -> None:
    large = flag("large", targets=(Target("on", KEYS[:50_000]),))
    current = only(await store.resources.commit(change(environment.id, *create(large))))
    for enabled in (False, True, False):
        item = update(current, enabled=enabled)
        current = only(await store.resources.commit(change(environment.id, item)))
    page = await store.resources.history(FLAG, environment.id, "large", 100, "")
    assert 1 <= len(page.items) < 4
    assert page.next_token
    entries = await store.resources.list_audit_entries(AuditQuery(100, scope_id=environment.id))
    assert 1 <= len(entries.items) < 4
    basic = AuditQuery(100, scope_id=environment.id, is_basic=True)
    assert len((await store.resources.list_audit_entries(basic)).items) == 4


async def test_old_versions_are_pruned_but_for_the_newest_and_what_they_are_built_on(
    moved: MongoStore, environment: Environment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "WHOLE_BYTES", 64)
    monkeypatch.setattr(history, "CHAIN_VERSIONS", 6)
    large = flag("f", targets=(Target("on", KEYS[:200]),))
    current = only(await moved.resources.commit(change(environment.id, *create(large))))
    expected = [current]
    for turn in range(29):
        item = update(current, enabled=turn % 2 == 0)
        current = only(await moved.resources.commit(change(environment.id, item)))
        expected.append(current)
    assert await prune(moved, 30 * DAY) == 0
    clock.time += 31 * DAY
    removed = await prune(moved, 30 * DAY)
    kept = await stored_versions(moved, environment, "f")
    assert kept == expected[removed:]
    assert KEPT_VERSIONS <= len(kept) <= KEPT_VERSIONS + 6
    assert await prune(moved, 30 * DAY) == 0


async def prune(store: MongoStore, retention: timedelta) -> int:
    """Until there is nothing left to do, three documents at a time."""
    removed = idle = 0
    while idle < 3:  # both collections, and the start again
        done = await store.maintenance.prune_history(retention, 3)
        removed += done
        idle = 0 if done else idle + 1
    return removed


async def test_history_of_settings_is_pruned_too_and_young_versions_stay(
    moved: MongoStore, environment: Environment, clock: Clock
) -> None:
    for days in range(1, 15):
        await update_environment(moved, environment.id, retention_days=days)
    clock.time += 31 * DAY
    await update_environment(moved, environment.id, retention_days=100)
    await prune(moved, 30 * DAY)
    current = await read_environment(moved, environment.id)
    assert current.meta.version == 16
    page = await moved.resources.history(
        current.kind, environment.project_id, "production", 100, ""
    )
    assert [each.version for each in page.items] == list(range(16, 6, -1))


async def test_old_audit_entries_are_pruned_in_bounded_steps(
    moved: MongoStore, environment: Environment, clock: Clock
) -> None:
    for key in "abc":
        await moved.resources.commit(change(environment.id, *create(flag(key))))
    clock.time += 400 * DAY
    item = ItemChange(FLAG, "create", None, replace(flag("d"), display_name="D"))
    await moved.resources.commit(Change(environment.id, ADA, (item,)))
    retention = 365 * DAY
    steps = [await moved.maintenance.prune_audit(retention, 4) for _ in range(3)]
    assert steps == [4, 2, 0]
    [entry] = (await moved.resources.list_audit_entries(AuditQuery(10))).items
    assert entry.path.endswith("flags/d")
