"""What every adapter of the bus promises."""

from __future__ import annotations

import asyncio

import pytest

from services.messaging.ports import DELIVERY_LIMIT, Bus, DeadLetterInfo, Message, Topic
from services.runtime.errors import BrokerUnavailable
from tests.support.messaging import Recorder, message, soon
from tests.support.waiting import PATIENCE

BURST = 200
"""More than a watch takes from the broker before it has acknowledged any."""


async def dead_letters(bus: Bus, count: int) -> list[DeadLetterInfo]:
    async def complete() -> bool:
        return len(await bus.list_dead_letters(100)) >= count

    await soon(complete)
    return await bus.list_dead_letters(100)


@pytest.mark.parametrize("topic", [Topic.USERS, Topic.INSIGHTS])
async def test_a_published_message_is_consumed_once_and_as_it_was(bus: Bus, topic: Topic) -> None:
    handler = Recorder()
    await bus.consume(topic, handler, prefetch=10)
    first, last = message(payload=bytes(range(256))), message(payload=b"")

    await bus.publish(topic, first)
    await bus.publish(topic, last)

    assert await handler.until(2) == [first, last]


async def test_a_message_larger_than_a_frame_arrives_whole(bus: Bus) -> None:
    handler = Recorder()
    await bus.consume(Topic.INSIGHTS, handler, prefetch=10)
    large = message(payload=b"x" * 1_000_000)

    await bus.publish(Topic.INSIGHTS, large)

    assert await handler.until(1) == [large]


async def test_topics_do_not_mix(bus: Bus) -> None:
    users, insights = Recorder(), Recorder()
    await bus.consume(Topic.USERS, users, prefetch=1)
    await bus.consume(Topic.INSIGHTS, insights, prefetch=1)
    user, insight = message(), message()

    await bus.publish(Topic.USERS, user)
    await bus.publish(Topic.INSIGHTS, insight)

    assert await users.until(1) == [user]
    assert await insights.until(1) == [insight]


async def test_a_message_from_before_any_consumer_arrives(bus: Bus) -> None:
    early, handler = message(), Recorder()

    async with asyncio.TaskGroup() as group:
        group.create_task(bus.publish(Topic.USERS, early))
        await asyncio.sleep(0)  # the publish has begun
        await bus.consume(Topic.USERS, handler, prefetch=1)

    assert await handler.until(1) == [early]


async def test_competing_consumers_share_the_messages(bus: Bus) -> None:
    handlers = [Recorder(), Recorder()]
    for handler in handlers:
        await bus.consume(Topic.INSIGHTS, handler, prefetch=1)
    sent = [message() for _ in range(20)]

    for each in sent:
        await bus.publish(Topic.INSIGHTS, each)

    async def all_arrived() -> bool:
        return sum(len(handler.got) for handler in handlers) >= len(sent)

    await soon(all_arrived)
    got = sorted(each.id for handler in handlers for each in handler.got)
    assert got == sorted(each.id for each in sent)
    assert all(handler.got for handler in handlers)


async def test_a_message_that_fails_at_first_comes_again(bus: Bus) -> None:
    handler = Recorder(fails=lambda _: len(handler.got) < DELIVERY_LIMIT)
    await bus.consume(Topic.USERS, handler, prefetch=1)
    stubborn = message()

    await bus.publish(Topic.USERS, stubborn)

    assert await handler.until(DELIVERY_LIMIT) == [stubborn] * DELIVERY_LIMIT
    assert await bus.list_dead_letters(10) == []


async def test_a_message_that_always_fails_becomes_a_dead_letter_and_others_flow_on(
    bus: Bus,
) -> None:
    bad, good = message(payload=b"bad"), [message() for _ in range(5)]
    handler = Recorder(fails=lambda received: received.payload == b"bad")
    await bus.consume(Topic.INSIGHTS, handler, prefetch=2)

    async with asyncio.TaskGroup() as publishers:
        for each in (bad, *good):
            publishers.create_task(bus.publish(Topic.INSIGHTS, each))

    reason = "cannot store bad"
    expected = DeadLetterInfo(bad.id, bad.environment_id, Topic.INSIGHTS, reason, len(b"bad"))
    assert await dead_letters(bus, 1) == [expected]
    got = await handler.until(DELIVERY_LIMIT + len(good))
    assert sum(each == bad for each in got) == DELIVERY_LIMIT
    assert all(each in got for each in good)


async def test_a_look_at_the_dead_letters_leaves_them_there(bus: Bus) -> None:
    handler = Recorder(fails=lambda _: True)
    await bus.consume(Topic.USERS, handler, prefetch=1)
    await bus.publish(Topic.USERS, message())

    assert await dead_letters(bus, 1) == await dead_letters(bus, 1)


async def test_dead_letters_are_counted(bus: Bus) -> None:
    assert await bus.count_dead_letters() == 0
    handler = Recorder(fails=lambda _: True)
    await bus.consume(Topic.USERS, handler, prefetch=2)
    await asyncio.gather(*(bus.publish(Topic.USERS, message()) for _ in range(2)))

    async def both() -> bool:
        return await bus.count_dead_letters() == 2

    await soon(both)


async def test_a_slow_handler_never_runs_more_often_than_the_prefetch(bus: Bus) -> None:
    running, most, gate, full = 0, 0, asyncio.Event(), asyncio.Event()
    done = Recorder()

    async def slow(received: Message) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            full.set()
        await gate.wait()
        running -= 1
        await done(received)

    await bus.consume(Topic.INSIGHTS, slow, prefetch=3)
    async with asyncio.TaskGroup() as publishers:
        for _ in range(9):
            publishers.create_task(bus.publish(Topic.INSIGHTS, message()))
        async with asyncio.timeout(PATIENCE):
            await full.wait()
        gate.set()
    await done.until(9)

    assert most == 3


async def test_closing_a_consumer_waits_for_its_handlers(bus: Bus) -> None:
    started, gate, done = asyncio.Event(), asyncio.Event(), Recorder()

    async def slow(received: Message) -> None:
        started.set()
        await gate.wait()
        await done(received)

    consumer = await bus.consume(Topic.USERS, slow, prefetch=1)
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(PATIENCE):
        tasks.create_task(bus.publish(Topic.USERS, message()))
        await started.wait()
        closing = tasks.create_task(consumer.close())
        await asyncio.sleep(0)
        assert not closing.done()
        gate.set()
        await closing

    assert len(done.got) == 1


async def test_what_a_closed_consumer_leaves_goes_to_the_next(bus: Bus) -> None:
    first = await bus.consume(Topic.USERS, Recorder(), prefetch=1)
    await first.close()
    later, handler = message(), Recorder()

    async with asyncio.TaskGroup() as group:
        group.create_task(bus.publish(Topic.USERS, later))
        await asyncio.sleep(0)  # the publish has begun
        await bus.consume(Topic.USERS, handler, prefetch=1)

    assert await handler.until(1) == [later]


async def test_a_watch_gets_the_changes_of_what_it_binds_and_no_others(bus: Bus) -> None:
    handler = Recorder()
    watch = await bus.watch_changes(handler)
    await watch.bind("mine")
    bound, other, last = message("mine"), message("another"), message("mine")

    for each in (bound, other, last):
        await bus.publish(Topic.CHANGES, each)

    assert await handler.until(2) == [bound, last]


async def test_a_watch_gets_all_changes_of_a_burst_in_order(bus: Bus) -> None:
    handler = Recorder()
    await (await bus.watch_changes(handler)).bind("busy")
    burst = [message("busy") for _ in range(BURST)]

    for each in burst:
        await bus.publish(Topic.CHANGES, each)

    assert await handler.until(BURST) == burst


async def test_every_watch_gets_a_change(bus: Bus) -> None:
    handlers = [Recorder(), Recorder()]
    for handler in handlers:
        await (await bus.watch_changes(handler)).bind("shared")
    change = message("shared")

    await bus.publish(Topic.CHANGES, change)

    for handler in handlers:
        assert await handler.until(1) == [change]


async def test_an_unbound_environment_is_heard_no_more(bus: Bus) -> None:
    handler = Recorder()
    watch = await bus.watch_changes(handler)
    await watch.bind("kept")
    await watch.bind("dropped")
    await watch.unbind("dropped")
    last = message("kept")

    await bus.publish(Topic.CHANGES, message("dropped"))
    await bus.publish(Topic.CHANGES, last)

    assert await handler.until(1) == [last]


async def test_a_closed_watch_is_silent_and_the_others_go_on(bus: Bus) -> None:
    silent, loud = Recorder(), Recorder()
    closed = await bus.watch_changes(silent)
    await closed.bind("shared")
    await (await bus.watch_changes(loud)).bind("shared")
    await closed.close()

    await bus.publish(Topic.CHANGES, message("shared"))

    await loud.until(1)
    assert silent.got == []


async def test_reports_reach_every_watch_that_binds_their_environment_and_no_watch_of_changes(
    bus: Bus,
) -> None:
    handlers, changes = [Recorder(), Recorder()], Recorder()
    for handler in handlers:
        await (await bus.watch_applied(handler)).bind("mine")
    await (await bus.watch_changes(changes)).bind("mine")
    report, change = message("mine", b"report"), message("mine", b"change")

    await bus.publish(Topic.APPLIED, message("other"))
    await bus.publish(Topic.APPLIED, report)
    await bus.publish(Topic.CHANGES, change)

    assert await changes.until(1) == [change]
    for handler in handlers:
        assert await handler.until(1) == [report]


async def test_a_failing_watch_handler_keeps_watching(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    handler = Recorder(fails=lambda received: received.payload == b"bad")
    watch = await bus.watch_changes(handler)
    await watch.bind("mine")

    await bus.publish(Topic.CHANGES, message("mine", b"bad"))
    await bus.publish(Topic.CHANGES, message("mine"))

    await handler.until(2)
    assert "The handler of a change of mine failed" in caplog.text


@pytest.mark.parametrize("topic", [Topic.CHANGES, Topic.APPLIED])
async def test_a_message_that_nobody_watches_is_published_all_the_same(
    bus: Bus, topic: Topic
) -> None:
    await bus.publish(topic, message())


async def test_an_open_bus_is_healthy_and_a_closed_one_refuses_everything(bus: Bus) -> None:
    await bus.publish(Topic.CHANGES, message())
    healthy_before = bus.healthy

    await bus.close()
    await bus.close()

    assert (healthy_before, bus.healthy) == (True, False)
    with pytest.raises(BrokerUnavailable):
        await bus.publish(Topic.CHANGES, message())
    with pytest.raises(BrokerUnavailable):
        await bus.consume(Topic.USERS, Recorder(), prefetch=1)
    with pytest.raises(BrokerUnavailable):
        await bus.watch_changes(Recorder())


@pytest.mark.parametrize("topic", [Topic.CHANGES, Topic.APPLIED])
async def test_what_is_watched_is_not_consumed(bus: Bus, topic: Topic) -> None:
    with pytest.raises(ValueError, match="watched"):
        await bus.consume(topic, Recorder(), prefetch=1)
