"""A store that went back to a backup: what it no longer knows goes from every reader."""

from __future__ import annotations

from services.evaluation.replica.replica import Replicas
from services.evaluation.sync.feeds import DefinitionFeed
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import flag
from tests.support.evaluation import EvaluationClient
from tests.support.resources import Environment


async def restore(operator: Operator, revision: int, *lost: str) -> None:
    """The environment as it was at ``revision``, before the flags ``lost`` were made."""
    connection = operator.store._connection
    await connection["flags"].delete_many({"key": {"$in": lost}})
    await connection["item_history"].delete_many({"item": {"$in": lost}})
    await connection["environments"].update_one(
        {"_id": operator.environment_id}, {"$set": {"revision": revision}}
    )


async def test_every_stream_gets_everything_anew(
    server_sdk: EvaluationClient, client_sdk: EvaluationClient, operator: Operator
) -> None:
    old = await operator.create(flag("kept"))
    await operator.create(flag("lost"))
    server, clients = server_sdk.definitions(), [client_sdk.results(f"u{n}") for n in range(3)]
    await server.change()
    for client in clients:
        await client.change()
    await restore(operator, old.revision, "lost")
    changes = await server.change()
    assert (changes.full, changes.revision) == (True, old.revision)
    assert set(server.flags) == {"kept"}
    for client in clients:
        results = await client.change()
        assert (results.full, results.revision) == (True, old.revision)
        assert set(client.results) == {"kept"}
    committed = await operator.create(flag("new"))
    await server.reach(committed.revision)
    assert set(server.flags) == {"kept", "new"}


async def test_a_reader_of_the_lost_time_gets_everything_although_the_store_went_on(
    server_sdk: EvaluationClient, client_sdk: EvaluationClient, operator: Operator
) -> None:
    old = await operator.create(flag("kept"))
    lost = await operator.create(flag("lost"))
    watching = server_sdk.definitions()
    await watching.change()
    await restore(operator, old.revision, "lost")
    assert (await watching.change()).full
    await operator.create(flag("new"))
    server = server_sdk.definitions(since=lost.revision)
    client = client_sdk.results("ada", since=lost.revision)
    assert (await server.change()).full
    assert (await client.change()).full
    assert set(server.flags) == set(client.results) == {"kept", "new"}


async def test_a_stream_that_slept_through_it_gets_everything(
    store: MongoStore, environment: Environment, operator: Operator
) -> None:
    """It sent the lost revision, and looks again when the store is ahead of it once more."""
    old = await operator.create(flag("kept"))
    lost = await operator.create(flag("lost"))
    replica = await Replicas(store.definitions).get(environment.id)
    await restore(operator, old.revision, "lost")
    await replica.refresh(old.revision)
    committed = await operator.create(flag("new"))
    await replica.refresh(committed.revision)
    assert replica.view.revision == committed.revision > lost.revision
    frames = DefinitionFeed().next(replica.view, lost.revision)
    assert frames == replica.view.full_frames()
    assert DefinitionFeed().next(replica.view, committed.revision) != frames
