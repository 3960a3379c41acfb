"""What every adapter promises of dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.messaging.ports import Bus, DeadLetterFilter, Message, Topic
from tests.support.messaging import Recorder, message, soon


@asynccontextmanager
async def refusing(bus: Bus, topic: Topic) -> AsyncIterator[Recorder]:
    """Nothing of this topic can be stored."""
    handler = Recorder(fails=lambda _: True)
    consumer = await bus.consume(topic, handler, prefetch=8)
    try:
        yield handler
    finally:
        await consumer.close()


async def until_dead(bus: Bus, count: int) -> None:
    async def complete() -> bool:
        return len(await bus.list_dead_letters(100)) == count

    await soon(complete)


async def died(bus: Bus, *messages: tuple[Topic, Message]) -> None:
    """Each becomes a dead letter, in this order."""
    for number, (topic, dead) in enumerate(messages, start=1):
        async with refusing(bus, topic):
            await bus.publish(topic, dead)
            await until_dead(bus, number)


async def ids(bus: Bus, limit: int = 100, wanted: DeadLetterFilter | None = None) -> list[str]:
    letters = await bus.list_dead_letters(limit, wanted or DeadLetterFilter())
    return [letter.message_id for letter in letters]


async def test_letters_are_chosen_by_topic_by_id_and_by_age(bus: Bus) -> None:
    user, first, second = message(), message(), message()
    await died(bus, (Topic.USERS, user), (Topic.INSIGHTS, first), (Topic.INSIGHTS, second))
    assert await ids(bus, wanted=DeadLetterFilter(Topic.INSIGHTS)) == [first.id, second.id]
    assert await ids(bus, 1, DeadLetterFilter(Topic.INSIGHTS)) == [first.id]
    assert await ids(bus, wanted=DeadLetterFilter(message_ids=frozenset({second.id}))) == [
        second.id
    ]
    assert await ids(bus, wanted=DeadLetterFilter(Topic.USERS, frozenset({first.id}))) == []
    assert len(await ids(bus)) == 3


async def test_a_replayed_letter_is_handled_as_it_was_and_is_a_letter_no_more(bus: Bus) -> None:
    user, event = message(), message(payload=b"an event")
    await died(bus, (Topic.USERS, user), (Topic.INSIGHTS, event))
    mended = Recorder()
    await bus.consume(Topic.INSIGHTS, mended, prefetch=1)
    assert await bus.replay_dead_letters(100, DeadLetterFilter(Topic.INSIGHTS)) == 1
    assert await mended.until(1) == [event]
    assert await ids(bus) == [user.id]


async def test_a_replayed_letter_that_fails_again_comes_back_once(bus: Bus) -> None:
    event = message()
    await died(bus, (Topic.INSIGHTS, event))
    async with refusing(bus, Topic.INSIGHTS) as handler:
        assert await bus.replay_dead_letters(100) == 1
        await handler.until(5)
        await until_dead(bus, 1)
    assert await ids(bus) == [event.id]


@pytest.mark.parametrize("limit", [1, 100])
async def test_dropped_letters_are_gone_and_no_others(bus: Bus, limit: int) -> None:
    letters = [message() for _ in range(3)]
    await died(bus, *((Topic.USERS, each) for each in letters))
    chosen = DeadLetterFilter(message_ids=frozenset(each.id for each in letters[1:]))
    assert await bus.drop_dead_letters(limit, chosen) == min(limit, 2)
    assert len(await ids(bus)) == 3 - min(limit, 2)
    assert letters[0].id in await ids(bus)


async def test_where_there_are_none_nothing_is_done(bus: Bus) -> None:
    assert await bus.replay_dead_letters(100) == 0
    assert await bus.drop_dead_letters(100) == 0
