"""What may go wrong while replicas are kept current, and that nothing is lost by it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

import pytest

from services.evaluation.replica.follower import Follower
from services.evaluation.replica.replica import Replicas
from services.messaging.inprocess import InProcessBus
from services.runtime.errors import StoreUnavailable
from services.storage.model.definitions import Definitions, EnvironmentHead
from services.storage.mongodb import MongoStore
from services.storage.ports.definitions import DefinitionStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import flag
from tests.support.evaluation import (
    NEVER,
    NOT_SERVING,
    SERVING,
    Timing,
    running_evaluation,
)
from tests.support.resources import (
    Environment,
    list_sdk_keys,
    make_environment,
    revoke_sdk_key,
)
from tests.support.waiting import PATIENCE

Fault = Callable[[], Awaitable[None]]

IMPATIENT = 0.05
"""Seconds that a follower under test waits for a read."""


async def never() -> None:
    await asyncio.Event().wait()


async def away() -> None:
    raise StoreUnavailable("MongoDB is away")


async def surprise() -> None:
    raise RuntimeError("nobody expected this")


class FaultyDefinitions:
    """A real store's reads; before each one its fault happens, if it has one now."""

    def __init__(self, inner: DefinitionStore) -> None:
        self._inner = inner
        self.has_revision = inner.has_revision
        self.renew_epoch = inner.renew_epoch
        self.revisions: Fault | None = None
        self.changes: dict[str, Fault] = {}
        """By environment."""

    async def read_definitions(self, environment_id: str) -> Definitions:
        return await self._inner.read_definitions(environment_id)

    async def read_changes(self, environment_id: str, since: int) -> Definitions:
        if fault := self.changes.get(environment_id):
            await fault()
        return await self._inner.read_changes(environment_id, since)

    async def read_heads(self, environment_ids: Collection[str]) -> dict[str, EnvironmentHead]:
        if fault := self.revisions:
            await fault()
        return await self._inner.read_heads(environment_ids)


@pytest.fixture
def definitions(store: MongoStore) -> FaultyDefinitions:
    store.definitions = faulty = FaultyDefinitions(store.definitions)
    return faulty


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.evaluation.replica.follower.LOOK_SECONDS", IMPATIENT)


async def test_doubled_and_late_notices_do_no_harm(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    async with running_evaluation(store, bus, Timing(poll_interval=NEVER)) as service:
        stream = service.client(server_key).definitions()
        await stream.change()
        first, second, third = [await operator.create(flag(key)) for key in "abc"]
        for committed in (third, first, third, second):
            await operator.announce(bus, committed)
        last = await operator.create(flag("d"))
        await operator.announce(bus, last)
        await stream.reach(last.revision)
    assert stream.revisions[1:] == [third.revision, last.revision]
    assert set(stream.flags) == set("abcd")


async def test_a_notice_of_a_revision_that_is_not_there_yet_does_no_harm(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    """A replica of the store that lags behind may answer after the announcement came."""
    async with running_evaluation(store, bus, Timing(poll_interval=NEVER)) as service:
        stream = service.client(server_key).definitions()
        held = await stream.change()
        committed = await operator.create(flag("a"))
        early = type(committed)(committed.revision + 1_000, committed.resources)
        await operator.announce(bus, early)
        await stream.reach(committed.revision)
        last = await operator.create(flag("b"))
        await operator.announce(bus, last)
        await stream.reach(last.revision)
    assert stream.revisions == [held.revision, committed.revision, last.revision]


async def test_a_store_that_goes_away_amid_a_notice_leaves_the_change_to_the_poll(
    store: MongoStore, environment: Environment, definitions: FaultyDefinitions, operator: Operator
) -> None:
    replicas = Replicas(definitions)
    follower, bus = Follower(replicas, definitions), InProcessBus()
    await replicas.follow(await bus.watch_changes(follower.on_notice))
    replica = await replicas.get(environment.id)
    committed = await operator.create(flag("a"))
    definitions.changes[environment.id] = away
    await operator.announce(bus, committed)
    assert replica.view.revision == environment.revision
    definitions.changes.clear()
    await follower.poll()
    assert replica.view.revision == committed.revision
    await bus.close()


@pytest.mark.usefixtures("impatient")
async def test_a_read_that_hangs_amid_a_notice_holds_up_no_other_environment(
    store: MongoStore, environment: Environment, definitions: FaultyDefinitions, operator: Operator
) -> None:
    replicas = Replicas(definitions)
    follower, bus = Follower(replicas, definitions), InProcessBus()
    await replicas.follow(await bus.watch_changes(follower.on_notice))
    made = await make_environment(store, environment.project_id, "other")
    other = Operator(store, made.id)
    slow, quick = await replicas.get(environment.id), await replicas.get(made.id)
    definitions.changes[environment.id] = never
    await operator.announce(bus, await operator.create(flag("a")))
    committed = await other.create(flag("a"))
    await other.announce(bus, committed)
    assert quick.view.revision == committed.revision
    assert slow.view.revision == environment.revision
    definitions.changes.clear()
    await follower.poll()
    assert set(slow.view.snapshot.flags) == {"a"}
    await bus.close()


@pytest.mark.usefixtures("impatient")
async def test_a_poll_that_hangs_is_given_up_so_that_the_next_can_go(
    environment: Environment, definitions: FaultyDefinitions, operator: Operator
) -> None:
    replicas = Replicas(definitions)
    follower = Follower(replicas, definitions)
    replica = await replicas.get(environment.id)
    committed = await operator.create(flag("a"))
    definitions.revisions = never
    async with asyncio.timeout(PATIENCE):
        await follower.poll()
    assert follower.last_poll == float("-inf")
    definitions.revisions = None
    await follower.poll()
    assert replica.view.revision == committed.revision


@pytest.mark.usefixtures("impatient")
async def test_an_environment_that_takes_long_to_read_holds_up_no_other(
    store: MongoStore, environment: Environment, definitions: FaultyDefinitions, operator: Operator
) -> None:
    replicas = Replicas(definitions)
    follower = Follower(replicas, definitions)
    made = await make_environment(store, environment.project_id, "other")
    slow, quick = await replicas.get(environment.id), await replicas.get(made.id)
    opened = asyncio.Event()

    async def held() -> None:
        await opened.wait()

    definitions.changes[environment.id] = held
    late = await operator.create(flag("a"))
    for key in "ab":
        committed = await Operator(store, made.id).create(flag(key))
        await follower.poll()
        assert quick.view.revision == committed.revision
    assert slow.view.revision == environment.revision
    assert follower.last_poll > 0
    opened.set()
    await follower.poll()
    await slow.refresh(EnvironmentHead(late.revision, slow.view.epoch))
    assert slow.view.revision == late.revision
    await follower.close()


async def test_a_poll_that_fails_in_a_way_that_nobody_expected_is_told_and_goes_on(
    store: MongoStore,
    bus: InProcessBus,
    server_key: str,
    operator: Operator,
    definitions: FaultyDefinitions,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("services.evaluation.app.MAX_POLL_LAG", 0.3)
    async with running_evaluation(store, bus) as service:
        stream = service.client(server_key).definitions()
        await stream.change()
        with caplog.at_level(logging.ERROR):
            definitions.revisions = surprise
            await service.health(NOT_SERVING)
        committed = await operator.create(flag("a"))
        definitions.revisions = None
        await service.health(SERVING)
        await stream.reach(committed.revision)
    told = [each for each in caplog.records if "nobody expected this" in (each.exc_text or "")]
    assert [each.message for each in told] == ["poll of the store failed and is tried again"]


async def test_a_change_that_cannot_be_read_is_told_once_however_often_it_is_announced(
    environment: Environment,
    definitions: FaultyDefinitions,
    operator: Operator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    replicas = Replicas(definitions)
    follower, bus = Follower(replicas, definitions), InProcessBus()
    await replicas.follow(await bus.watch_changes(follower.on_notice))
    replica = await replicas.get(environment.id)
    committed = await operator.create(flag("a"))
    definitions.changes[environment.id] = surprise
    for _ in range(3):
        await operator.announce(bus, committed)
        await follower.poll()
    assert replica.view.revision == environment.revision
    assert caplog.text.count("cannot be read") == 1
    definitions.changes.clear()
    await operator.announce(bus, committed)
    assert replica.view.revision == committed.revision
    await bus.close()


async def test_a_look_at_keys_that_fails_in_a_way_that_nobody_expected_goes_on(
    store: MongoStore,
    bus: InProcessBus,
    environment: Environment,
    server_key: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = asyncio.Event()
    good_sdk_keys = store.credentials.good_sdk_keys

    async def once(ids: Collection[str]) -> frozenset[str]:
        if not looked.is_set():
            looked.set()
            raise RuntimeError("nobody expected this")
        return await good_sdk_keys(ids)

    monkeypatch.setattr(store.credentials, "good_sdk_keys", once)
    async with running_evaluation(store, bus) as service:
        stream = service.client(server_key).definitions()
        await stream.change()
        await looked.wait()
        [key] = await list_sdk_keys(store, environment.id)
        await revoke_sdk_key(store, environment.id, key.meta.id)
        await stream.goodbye()
