"""The name of an environment's history, and when it becomes another one."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from services.storage.mongodb import MongoStore
from services.storage.mongodb.resources import epochs
from tests.integration.storage.records import change, create, delete, flag, update
from tests.support.mesh import ROOT
from tests.support.resources import Environment, make_environment

EPOCH_BYTES = 16
UNKNOWN = 1
"""A revision of 1970."""


async def epoch_of(store: MongoStore, environment_id: str) -> bytes:
    return (await store.definitions.read_heads([environment_id]))[environment_id].epoch


async def test_an_environment_has_an_epoch_of_its_own_that_changes_keep(
    store: MongoStore, environment: Environment
) -> None:
    made = await make_environment(store, environment.project_id, "other")
    epoch = await epoch_of(store, environment.id)
    assert len(epoch) == EPOCH_BYTES
    assert epoch != await epoch_of(store, made.id)
    await store.resources.commit(change(environment.id, *create(flag("a"))))
    assert await epoch_of(store, environment.id) == epoch
    assert (await store.definitions.read_definitions(environment.id)).epoch == epoch


async def test_an_epoch_is_renewed_by_who_knows_it_only(
    store: MongoStore, environment: Environment
) -> None:
    first = await epoch_of(store, environment.id)
    await store.definitions.renew_epoch(environment.id, b"another")
    assert await epoch_of(store, environment.id) == first
    await asyncio.gather(*(store.definitions.renew_epoch(environment.id, first) for _ in range(8)))
    second = await epoch_of(store, environment.id)
    assert second != first
    await store.definitions.renew_epoch(environment.id, first)
    assert await epoch_of(store, environment.id) == second


async def test_environments_of_before_there_were_epochs_get_one(
    store: MongoStore, environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    environments = store._connection["environments"]
    await environments.update_many({}, {"$unset": {"epoch": ""}})
    await store._connection["schema"].delete_one({"_id": "place"})
    assert await epoch_of(store, environment.id) == b""
    await store.migrate()
    epoch = await epoch_of(store, environment.id)
    assert len(epoch) == EPOCH_BYTES
    await store.migrate()
    assert await epoch_of(store, environment.id) == epoch, "a start renews nothing"
    assert not caplog.text


@pytest.mark.parametrize(
    "moved",
    [{"collections.flags": b"another"}, {"cluster": "another"}, {"collections": {}}],
    ids=["collection", "cluster", "all"],
)
async def test_data_that_is_not_where_it_was_written_is_another_history(
    moved: dict[str, object],
    store: MongoStore,
    environment: Environment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = await epoch_of(store, environment.id)
    await store._connection["schema"].update_one({"_id": "place"}, {"$set": moved})
    await store.migrate()
    assert await epoch_of(store, environment.id) != before
    assert caplog.text.count("was restored or moved: 1 environments have a new epoch") == 1


async def test_who_may_not_ask_for_the_cluster_goes_by_the_collections(
    store: MongoStore, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await epoch_of(store, environment.id)

    async def refused(_connection: object) -> None:
        return None

    monkeypatch.setattr(epochs, "_cluster_id", refused)
    await store.migrate()
    await store.maintenance.renew_epochs_if_moved()
    assert await epoch_of(store, environment.id) == before


async def test_the_history_has_the_revisions_of_its_changes_and_of_its_beginning(
    store: MongoStore, environment: Environment
) -> None:
    first = await store.resources.commit(change(environment.id, *create(flag("a"), flag("b"))))
    a, b = first.resources
    second = await store.resources.commit(change(environment.id, update(a, enabled=False)))
    third = await store.resources.commit(change(environment.id, delete(b)))
    for revision in (environment.revision, first.revision, second.revision, third.revision):
        assert await store.definitions.has_revision(environment.id, revision)
    for strange in (UNKNOWN, third.revision + 1):
        assert not await store.definitions.has_revision(environment.id, strange)
    assert not await store.definitions.has_revision("nowhere", first.revision)


async def test_what_is_new_says_whether_it_follows_what_a_reader_holds(
    store: MongoStore, environment: Environment
) -> None:
    read = store.definitions.read_changes
    assert (await read(environment.id, environment.revision)).follows
    first = await store.resources.commit(change(environment.id, *create(flag("a"))))
    second = await store.resources.commit(change(environment.id, *create(flag("b"))))
    for held in (environment.revision, first.revision, second.revision):
        assert (await read(environment.id, held)).follows
    for strange in (UNKNOWN, second.revision + 1):
        assert not (await read(environment.id, strange)).follows
    history = store._connection["item_history"]
    await history.update_many({}, {"$unset": {"previous": ""}})  # of an earlier version
    assert (await read(environment.id, first.revision)).follows
    assert not (await read(environment.id, UNKNOWN)).follows


async def renew(uri: str, database: str) -> tuple[int | None, str]:
    """The operator's command: its status, and what it says."""
    variables = {"FEATMESH_MONGODB_URI": uri, "FEATMESH_MONGODB_DATABASE": database}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.api", "renew-epochs"),
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_an_operator_renews_all_of_them_with_a_command(
    store: MongoStore, environment: Environment, mongodb_uri: str, database_name: str
) -> None:
    before = await epoch_of(store, environment.id)
    status, output = await renew(mongodb_uri, database_name)
    assert (status, output.startswith("1 environments have a new epoch.")) == (0, True)
    assert await epoch_of(store, environment.id) != before


async def test_the_command_says_what_is_wrong() -> None:
    status, output = await renew("nonsense", "featmesh")
    assert (status, "FEATMESH_MONGODB_URI" in output) == (2, True)
    away = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"
    status, output = await renew(away, "featmesh")
    assert status == 1
    assert "Traceback" not in output
