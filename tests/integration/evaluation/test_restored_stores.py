"""A store that went back to a backup: what it no longer knows goes from every reader."""

from __future__ import annotations

import asyncio
import logging

import pytest

from featmesh.sync.v1 import sync_pb2
from featmesh.sync.v1.sync_pb2 import ResumeToken
from services.evaluation.replica.follower import Follower
from services.evaluation.replica.replica import Replicas
from services.evaluation.sync.feeds import DefinitionFeed
from services.messaging.inprocess import InProcessBus
from services.storage.model.definitions import EnvironmentHead
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import flag
from tests.support.evaluation import (
    NEVER,
    DefinitionStream,
    EvaluationClient,
    ResultStream,
    Timing,
    running_evaluation,
)
from tests.support.resources import Environment

RESYNC = sync_pb2.GOODBYE_REASON_RESYNC
ITEMS = ("flags", "item_history")


class Backup:
    """Documents of one environment as they were, put back in place of those of now."""

    def __init__(self, operator: Operator) -> None:
        self._connection = operator.store._connection
        self._id = operator.environment_id

    async def take(self) -> Backup:
        environments = self._connection["environments"]
        self._environment = await environments.find_one({"_id": self._id}) or {}
        query = {"environment": self._id}
        self._items = {
            each: await self._connection[each].find(query).to_list(None) for each in ITEMS
        }
        return self

    async def restore(self) -> None:
        for collection, documents in self._items.items():
            await self._connection[collection].delete_many({"environment": self._id})
            if documents:
                await self._connection[collection].insert_many(documents)
        environments = self._connection["environments"]
        await environments.replace_one({"_id": self._id}, self._environment)


async def held(stream: DefinitionStream | ResultStream) -> ResumeToken:
    """What an SDK holds after its next change set."""
    await stream.change()
    token: ResumeToken | None = stream.tokens[-1]
    assert token is not None
    return token


async def test_who_holds_a_lost_change_is_not_sent_what_came_after_it_alone(
    store: MongoStore, bus: InProcessBus, server_key: str, client_key: str, operator: Operator
) -> None:
    """As it was tried: nobody lived through it, and the store has moved past the lost change."""
    await operator.create(flag("a"), flag("b"))
    backup = await Backup(operator).take()
    await operator.update("a", enabled=False)
    async with running_evaluation(store, bus) as earlier:
        server_token = await held(earlier.client(server_key).definitions())
        client_token = await held(earlier.client(client_key).results("ada"))
    await backup.restore()
    await operator.update("b", enabled=False)
    async with running_evaluation(store, bus) as later:
        server = later.client(server_key).definitions(server_token)
        client = later.client(client_key).results("ada", client_token)
        assert (await server.change()).full
        assert (await client.change()).full
    assert server.flags["a"].enabled
    assert client.results["a"].value is True
    assert not server.flags["b"].enabled


async def test_every_stream_is_told_to_come_back_and_gets_everything_anew(
    server_sdk: EvaluationClient, client_sdk: EvaluationClient, operator: Operator
) -> None:
    old = await operator.create(flag("kept"))
    backup = await Backup(operator).take()
    await operator.create(flag("lost"))
    server, clients = server_sdk.definitions(), [client_sdk.results(f"u{n}") for n in range(3)]
    server_token = await held(server)
    client_tokens = [await held(client) for client in clients]
    before = await operator.head()
    await backup.restore()
    assert (await server.goodbye()).reason == RESYNC
    for client in clients:
        assert (await client.goodbye()).reason == RESYNC
    assert (await operator.head()).epoch != before.epoch

    server = server_sdk.definitions(server_token)
    changes = await server.change()
    assert (changes.full, changes.revision) == (True, old.revision)
    for client_token in client_tokens:
        client = client_sdk.results("ada", client_token)
        results = await client.change()
        assert (results.full, results.revision) == (True, old.revision)
        assert set(client.results) == {"kept"}
    committed = await operator.create(flag("new"))
    await server.reach(committed.revision)
    assert set(server.flags) == {"kept", "new"}


async def test_a_store_that_has_moved_past_what_a_replica_holds_is_found_out_too(
    store: MongoStore,
    environment: Environment,
    operator: Operator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await operator.create(flag("kept"))
    backup = await Backup(operator).take()
    lost = await operator.create(flag("lost"))
    replica = await Replicas(store.definitions).get(environment.id)
    await backup.restore()
    committed = await operator.create(flag("new"))
    before = await operator.head()
    with caplog.at_level(logging.ERROR):
        await replica.refresh(before)
    assert f"does not know revision {lost.revision}" in caplog.text
    assert replica.view.revision == committed.revision > lost.revision
    assert set(replica.view.snapshot.live_flag_keys()) == {"kept", "new"}
    assert replica.view.epoch == (await operator.head()).epoch != before.epoch


async def test_a_stream_that_slept_through_it_gets_everything(
    store: MongoStore, environment: Environment, operator: Operator
) -> None:
    """It sent the lost revision, and looks again when the store is ahead of it once more."""
    await operator.create(flag("kept"))
    backup = await Backup(operator).take()
    lost = await operator.create(flag("lost"))
    replica = await Replicas(store.definitions).get(environment.id)
    await backup.restore()
    await replica.refresh(await operator.head())
    committed = await operator.create(flag("new"))
    await replica.refresh(await operator.head())
    assert replica.view.revision == committed.revision > lost.revision
    frames = DefinitionFeed().next(replica.view, lost.revision)
    assert frames == replica.view.full_frames()
    assert DefinitionFeed().next(replica.view, committed.revision) != frames


async def test_replicas_that_find_out_together_renew_the_epoch_once(
    store: MongoStore, environment: Environment, operator: Operator
) -> None:
    await operator.create(flag("kept"))
    backup = await Backup(operator).take()
    await operator.create(flag("lost"))
    replicas = [await Replicas(store.definitions).get(environment.id) for _ in range(4)]
    await backup.restore()
    head = await operator.head()
    await asyncio.gather(*(replica.refresh(head) for replica in replicas))
    for replica in replicas:
        await replica.refresh(await operator.head())
    epochs = {replica.view.epoch for replica in replicas}
    assert epochs == {(await operator.head()).epoch} != {head.epoch}


async def test_an_epoch_that_another_process_renewed_ends_the_streams(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    """The store went back unseen by this one: same revision, another history."""
    await operator.create(flag("a"))
    stream = server_sdk.definitions()
    token = await held(stream)
    await operator.store.definitions.renew_epoch(operator.environment_id, token.epoch)
    assert (await stream.goodbye()).reason == RESYNC
    stream = server_sdk.definitions(token)
    changes = await stream.change()
    assert (changes.full, changes.flags) == (False, ()), "the digest says that all is the same"
    again = stream.tokens[-1]
    assert again is not None
    assert again == sync_pb2.ResumeToken(
        epoch=(await operator.head()).epoch, revision=token.revision, digest=token.digest
    )
    assert again.epoch != token.epoch


async def test_every_environments_streams_end_when_the_operator_says_that_it_was_restored(
    server_sdk: EvaluationClient, client_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("a"))
    server, client = server_sdk.definitions(), client_sdk.results("ada")
    token = await held(server)
    await client.change()
    assert await operator.store.maintenance.renew_epochs() == 1
    assert (await server.goodbye()).reason == RESYNC
    assert (await client.goodbye()).reason == RESYNC
    assert (await operator.head()).epoch != token.epoch


async def test_a_reader_of_another_epoch_is_sent_everything_once(
    server_sdk: EvaluationClient, client_sdk: EvaluationClient, operator: Operator
) -> None:
    committed = await operator.create(flag("a"))
    before = await operator.head()
    foreign = sync_pb2.ResumeToken(epoch=b"another", revision=committed.revision)
    server, client = server_sdk.definitions(foreign), client_sdk.results("ada", foreign)
    assert (await server.change()).full
    assert (await client.change()).full
    assert await operator.head() == before, "nobody else notices"
    again = server_sdk.definitions(server.tokens[-1])
    assert not (await again.change()).full
    assert not (await client_sdk.results("ada", client.tokens[-1]).change()).full


@pytest.mark.parametrize("epoch", [b"", b"another"])
async def test_a_reader_of_another_epoch_that_holds_the_same_is_sent_the_revision_only(
    epoch: bytes, server_sdk: EvaluationClient, operator: Operator
) -> None:
    committed = await operator.create(flag("a"))
    token = await held(server_sdk.definitions())
    foreign = sync_pb2.ResumeToken(epoch=epoch, revision=token.revision, digest=token.digest)
    stream = server_sdk.definitions(foreign)
    changes = await stream.change()
    assert (changes.full, changes.flags, changes.revision) == (False, (), committed.revision)
    assert stream.tokens == [token]


@pytest.mark.parametrize("away", [-1, 1])
async def test_a_revision_that_the_history_does_not_have_is_sent_everything(
    away: int, server_sdk: EvaluationClient, client_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("a"))
    middle = await operator.update("a", enabled=False)
    last = await operator.update("a", enabled=True)
    strange = middle.revision + away
    assert strange != last.revision, "two changes take longer than a millisecond"
    before = await operator.head()
    token = await operator.token(strange)
    assert (await server_sdk.definitions(token).change()).full
    assert (await client_sdk.results("ada", token).change()).full
    assert not (await server_sdk.definitions(await operator.token(middle.revision)).change()).full
    assert await operator.head() == before


async def test_an_environment_is_resumed_from_the_revision_that_it_was_made_at(
    server_sdk: EvaluationClient, environment: Environment, operator: Operator
) -> None:
    await operator.create(flag("a"))
    changes = await server_sdk.definitions(await operator.token(environment.revision)).change()
    assert not changes.full
    assert [each.key for each in changes.flags] == ["a"]


async def test_thousands_that_hold_one_revision_ask_the_store_once(
    store: MongoStore,
    environment: Environment,
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = await operator.create(flag("a"))
    await operator.update("a", enabled=False)
    replica = await Replicas(store.definitions).get(environment.id)
    asked: list[int] = []
    real = store.definitions.has_revision

    async def has_revision(environment_id: str, revision: int) -> bool:
        asked.append(revision)
        return await real(environment_id, revision)

    monkeypatch.setattr(store.definitions, "has_revision", has_revision)
    token = await operator.token(first.revision)
    for _ in range(2):
        assert all(await asyncio.gather(*(replica.continues(token) for _ in range(1_000))))
    assert asked == [first.revision]


async def test_a_reader_that_comes_from_a_replica_that_knows_of_the_restore_teaches_another_one(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    await operator.create(flag("kept"))
    backup = await Backup(operator).take()
    await operator.create(flag("lost"))
    async with running_evaluation(store, bus, Timing(poll_interval=NEVER)) as behind:
        sdk = behind.client(server_key)
        watching = sdk.definitions()
        await watching.change()
        await backup.restore()
        await store.maintenance.renew_epochs()
        async with running_evaluation(store, bus) as ahead:
            token = await held(ahead.client(server_key).definitions())
        assert (await sdk.definitions(token).goodbye()).reason == RESYNC
        assert (await watching.goodbye()).reason == RESYNC
        assert not (await sdk.definitions(token).change()).full


async def test_a_store_that_is_away_leaves_a_strange_reader_with_everything(
    store: MongoStore, environment: Environment, operator: Operator
) -> None:
    first = await operator.create(flag("a"))
    await operator.update("a", enabled=False)
    replica = await Replicas(store.definitions).get(environment.id)
    token = await operator.token(first.revision)
    own = await operator.token(replica.view.revision)
    await store.close()
    assert not await replica.continues(token)
    assert await replica.continues(own), "what the replica has said itself needs no store"


async def test_a_poll_notices_an_epoch_alone(
    store: MongoStore, environment: Environment, operator: Operator
) -> None:
    replicas = Replicas(store.definitions)
    replica = await replicas.get(environment.id)
    follower = Follower(replicas, store.definitions)
    before = replica.view
    await store.definitions.renew_epoch(environment.id, before.epoch)
    await follower.poll()
    after = EnvironmentHead(replica.view.revision, replica.view.epoch)
    assert after == await operator.head() != EnvironmentHead(before.revision, before.epoch)
    await follower.close()
