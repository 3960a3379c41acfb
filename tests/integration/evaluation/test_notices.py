"""Notices that tell what a change wrote: served at once, and the store has the last word."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from featmesh.engine.model import ValueType, Variation
from featmesh.messaging.v1.messaging_pb2 import ChangeNotice
from featmesh.sync.v1 import sync_pb2
from featmesh.sync.v1.sync_pb2 import ResumeToken
from services.api.outbox.notices import COPIED_BYTES, COPIED_ITEMS, notice_of
from services.evaluation.broadcast.writes import WriteWatchdog
from services.evaluation.replica.follower import Follower
from services.evaluation.replica.notices import changes_in
from services.evaluation.replica.replica import RESYNC, Replica, Replicas
from services.messaging.ports import Message
from services.storage.model.changes import AnyItemChange, WriteOptions
from services.storage.model.definitions import Definitions
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import (
    change,
    create,
    delete,
    flag,
    full_flag,
    full_segment,
    segment,
    update,
)
from tests.support.resources import Environment
from tests.support.streams import Reader, new_traffic
from tests.support.waiting import PATIENCE


async def noticed(operator: Operator, *writes: AnyItemChange) -> ChangeNotice:
    """Commits a change; what `api` announces of it."""
    made = change(operator.environment_id, *writes)
    return notice_of(made, await operator.store.resources.commit(made))


async def hear(follower: Follower, notice: ChangeNotice) -> None:
    """As the bus hands it over."""
    await follower.on_notice(Message("", notice.environment_id, notice.SerializeToString()))


class Reads:
    """A real store's reads, counted."""

    def __init__(self, store: MongoStore) -> None:
        self._inner = store.definitions
        self.changes = 0
        self.lags = False
        self.read_definitions = self._inner.read_definitions
        self.read_heads = self._inner.read_heads
        self.has_revision = self._inner.has_revision
        self.renew_epoch = self._inner.renew_epoch

    async def read_changes(self, environment_id: str, since: int) -> Definitions:
        self.changes += 1
        if self.lags:
            return Definitions(environment_id, since, 0, (), ())
        return await self._inner.read_changes(environment_id, since)


@pytest.fixture
def reads(store: MongoStore) -> Reads:
    return Reads(store)


@pytest.fixture
def replicas(reads: Reads) -> Replicas:
    return Replicas(reads)


@pytest.fixture
def follower(replicas: Replicas, reads: Reads) -> Follower:
    return Follower(replicas, reads)


@pytest.fixture
async def replica(replicas: Replicas, environment: Environment) -> Replica:
    return await replicas.get(environment.id)


async def _tells_all(operator: Operator, since: int, writes: Sequence[AnyItemChange]) -> int:
    notice = await noticed(operator, *writes)
    read = await operator.store.definitions.read_changes(operator.environment_id, since)
    assert changes_in(notice, since) == read
    return notice.revision


async def test_a_notice_tells_exactly_what_the_store_says(
    environment: Environment, operator: Operator
) -> None:
    made = full_flag()
    rule = made.definition.rules[0]
    known = replace(rule, conditions=rule.conditions[:1])  # the other is of a later version
    made = replace(made, definition=replace(made.definition, rules=(known,)))
    since = await _tells_all(operator, environment.revision, create(full_segment(), made))
    for text in ("", "ü", "x" * 10_000):
        variations = (Variation("on", "", text),)
        made = flag(f"f{len(text)}", value_type=ValueType.STRING, variations=variations)
        since = await _tells_all(operator, since, create(made))
    await operator.raise_floor(since)
    since = await _tells_all(
        operator, since, [update(await operator.flag("full"), archived=False, enabled=False)]
    )
    since = await _tells_all(
        operator,
        since,
        [delete(await operator.flag("full")), delete(await operator.segment("full"))],
    )
    await _tells_all(operator, since, create(flag("full")))


async def test_a_large_change_is_left_to_the_store(operator: Operator) -> None:
    many = await noticed(operator, *create(*(flag(f"f{n}") for n in range(COPIED_ITEMS + 1))))
    assert not many.HasField("inline")
    keys = tuple(f"{n:07}" for n in range(COPIED_BYTES // 8))
    assert not (await noticed(operator, *create(segment("s", "large", included=keys)))).HasField(
        "inline"
    )
    assert (await noticed(operator, *create(flag("small")))).HasField("inline")


async def test_a_value_that_no_message_can_hold_is_not_told(operator: Operator) -> None:
    """By hand, past the checks: its change is committed, and has to be announced all the same."""
    odd = flag("odd", value_type=ValueType.NUMBER, variations=(Variation("on", "", "text"),))
    notice = await noticed(operator, *create(odd))
    assert notice.revision
    assert not notice.HasField("inline")


async def test_what_a_call_did_not_write_is_not_told(
    environment: Environment, operator: Operator
) -> None:
    request = WriteOptions(request_id="once", digest="same")
    made = change(environment.id, *create(flag("a")), options=request)
    first, again = [await operator.store.resources.commit(made) for _ in range(2)]
    assert notice_of(made, first).inline.since == environment.revision
    assert not notice_of(made, again).HasField("inline")


async def test_a_notice_is_served_before_the_store_was_asked(
    follower: Follower, reads: Reads, replica: Replica, operator: Operator
) -> None:
    await hear(follower, await noticed(operator, *create(flag("a"), segment("s", "s"))))
    await hear(follower, await noticed(operator, update(await operator.flag("a"), enabled=False)))
    last = await noticed(operator, *create(full_flag()), delete(await operator.segment("s")))
    await hear(follower, last)
    assert (replica.view.revision, reads.changes) == (last.revision, 0)
    stored = (await Replica.load(operator.store.definitions, operator.environment_id)).view
    assert replica.view.digest == stored.digest
    assert replica.view.full_frames() == stored.full_frames()


async def test_the_store_is_asked_once_afterwards_and_streams_hear_nothing_of_it(
    follower: Follower, reads: Reads, replica: Replica, operator: Operator
) -> None:
    reader = Reader(replica, new_traffic(WriteWatchdog()))
    await reader.writer.takes(1)
    for key in "abc":
        await hear(follower, await noticed(operator, *create(flag(key))))
    was_confirmed, view = replica.is_verified, replica.view
    for _ in range(2):
        await follower.poll()
    assert (was_confirmed, replica.is_verified) == (False, True)
    assert replica.view is view
    assert reads.changes == 1
    await reader.close()


async def test_a_store_that_lags_behind_what_was_told_takes_nothing_back(
    follower: Follower, reads: Reads, replica: Replica, operator: Operator
) -> None:
    await hear(follower, await noticed(operator, *create(flag("a"))))
    view, reads.lags = replica.view, True
    await follower.poll()
    assert replica.view is view
    reads.lags = False
    await follower.poll()
    assert replica.view is view
    assert (reads.changes, replica.is_verified) == (2, True)


@pytest.mark.parametrize("heard", ["the second alone", "the second first"])
async def test_a_notice_that_does_not_continue_what_is_here_is_read(
    heard: str, follower: Follower, reads: Reads, replica: Replica, operator: Operator
) -> None:
    first, second = [await noticed(operator, *create(flag(key))) for key in "ab"]
    await hear(follower, second)
    if heard == "the second first":
        await hear(follower, first)
    assert (replica.view.revision, reads.changes) == (second.revision, 1)
    assert set(replica.view.snapshot.live_flag_keys()) == {"a", "b"}


async def test_what_was_told_and_what_is_read_after_it_come_together(
    follower: Follower, replica: Replica, operator: Operator
) -> None:
    await hear(follower, await noticed(operator, *create(flag("told"), flag("gone"))))
    await noticed(operator, delete(await operator.flag("gone")))  # lost on its way
    last = await noticed(operator, *create(flag("read")))
    await hear(follower, last)
    assert replica.is_verified
    assert replica.view.revision == last.revision
    assert set(replica.view.snapshot.live_flag_keys()) == {"told", "read"}


def _another_revision(notice: ChangeNotice) -> None:
    notice.inline.changes.revision += 1


def _a_part_is_missing(notice: ChangeNotice) -> None:
    notice.inline.changes.last = False


def _everything(notice: ChangeNotice) -> None:
    notice.inline.changes.kind = sync_pb2.CHANGE_KIND_FULL


def _nothing(notice: ChangeNotice) -> None:
    notice.inline.ClearField("changes")


@pytest.mark.parametrize("spoil", [_another_revision, _a_part_is_missing, _everything, _nothing])
async def test_a_copy_that_makes_no_sense_is_read_from_the_store(
    spoil: Callable[[ChangeNotice], None],
    follower: Follower,
    reads: Reads,
    replica: Replica,
    operator: Operator,
) -> None:
    notice = await noticed(operator, *create(flag("a")))
    spoil(notice)
    await hear(follower, notice)
    assert (replica.view.revision, reads.changes) == (notice.revision, 1)
    assert replica.is_verified


@pytest.mark.parametrize("goes_on", [False, True])
async def test_the_store_has_the_last_word_and_every_stream_comes_back_for_it(
    goes_on: bool,
    follower: Follower,
    replica: Replica,
    operator: Operator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever may publish may tell anything, for a second."""
    reader = Reader(replica, new_traffic(WriteWatchdog()))
    await reader.writer.takes(1)
    lie = await noticed(operator, *create(flag("a"), flag("b")))
    lie.inline.changes.items[0].flag.enabled = False
    lie.inline.changes.items.add(flag=lie.inline.changes.items[1].flag).flag.key = "never"
    await hear(follower, lie)
    await reader.writer.takes(2)
    misled = replica.view
    if goes_on:
        await noticed(operator, *create(flag("c")))
    with caplog.at_level(logging.ERROR):
        await follower.poll()
    assert "the store does not say" in caplog.text

    async with asyncio.timeout(PATIENCE):
        await reader.task
    assert RESYNC in reader.writer.frames
    told = await Replica.load(operator.store.definitions, operator.environment_id)
    assert replica.view.digest == told.view.digest != misled.digest
    assert replica.is_verified
    lied_to = ResumeToken(epoch=misled.epoch, revision=misled.revision)
    assert not await replica.continues(lied_to), "who holds the lie is sent everything"
    await reader.close()


async def test_a_store_that_goes_back_behind_what_was_told_is_what_counts(
    follower: Follower, replica: Replica, environment: Environment, operator: Operator
) -> None:
    await hear(follower, await noticed(operator, *create(flag("lost"))))
    connection = operator.store._connection
    await connection["flags"].delete_many({})
    await connection["item_history"].delete_many({})
    await connection["environments"].update_one(
        {"_id": environment.id}, {"$set": {"revision": environment.revision}}
    )
    await follower.poll()
    assert (replica.view.revision, replica.is_verified) == (environment.revision, True)
    assert not replica.view.snapshot.live_flag_keys()
