from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from services.evaluation.broadcast import broadcaster as hub_module
from services.evaluation.broadcast.broadcaster import Broadcaster
from services.evaluation.broadcast.frames import Frames
from services.evaluation.broadcast.writes import SlowReader, WriteWatchdog
from services.evaluation.limits import ROUND_SECONDS, ROUND_SECONDS_PER_STREAM
from tests.support.streams import Clock, ReaderWire
from tests.support.waiting import PATIENCE

WINDOW = 64
STREAMS = 200


class Subscriber:
    """A stream that owes a frame for each change; it is done with its first set."""

    def __init__(self, broadcaster: Broadcaster, *, takes: bool = False) -> None:
        self.writer = ReaderWire(takes=takes)
        self.is_busy = False
        self.owed = 0
        self.goodbye: bytes | None = None
        self.error: Exception | None = None
        self.is_lost = False
        self._broadcaster = broadcaster
        broadcaster.join(self)

    def change(self) -> None:
        self.owed += 1

    def end(self, goodbye: bytes) -> None:
        self.goodbye = goodbye
        self._broadcaster.wake(self)

    def take_due(self) -> Frames:
        if self.goodbye is not None:
            goodbye, self.goodbye = self.goodbye, None
            return (goodbye,)
        if not self.owed:
            return ()
        owed, self.owed = self.owed, 0
        return (b"%d" % owed,)

    def taken(self) -> None:
        """Nothing is counted here."""

    def disconnected(self) -> None:
        self.is_lost = True
        self._broadcaster.leave(self)

    def fail(self, error: Exception) -> None:
        self.error = error
        self._broadcaster.leave(self)


@pytest.fixture
def watchdog() -> WriteWatchdog:
    return WriteWatchdog()


@pytest.fixture
async def broadcaster(watchdog: WriteWatchdog) -> Broadcaster:
    return Broadcaster(watchdog)


def announce(broadcaster: Broadcaster, members: Sequence[Subscriber]) -> None:
    for member in members:
        member.change()
    broadcaster.announce()


async def offered(members: Sequence[Subscriber]) -> list[int]:
    """To which a frame was offered, once the loop has nothing left to run."""
    for _ in range(8):
        await asyncio.sleep(0)
    return [index for index, member in enumerate(members) if member.writer.offered.is_set()]


async def all_take(members: Sequence[Subscriber], count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        for member in members:
            await member.writer.takes(count)


def place_is_overdue(watchdog: WriteWatchdog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at the sends under way as if each took longer than its place is kept."""
    with monkeypatch.context() as patch:
        patch.setattr("services.evaluation.broadcast.writes.PLACE_SECONDS", -1)
        watchdog.look()


async def test_only_a_window_of_sends_is_outstanding_at_once(broadcaster: Broadcaster) -> None:
    members = [Subscriber(broadcaster) for _ in range(STREAMS)]
    announce(broadcaster, members)
    assert await offered(members) == list(range(WINDOW))
    for member in members:
        member.writer.valve.set()
    await all_take(members, 1)


async def test_each_finished_send_begins_the_next_until_all_are_done(
    broadcaster: Broadcaster,
) -> None:
    members = [Subscriber(broadcaster) for _ in range(STREAMS)]
    announce(broadcaster, members)
    for turn, member in enumerate(members):
        assert await offered(members) == list(range(min(turn + WINDOW, STREAMS)))
        member.writer.valve.set()
    await all_take(members, 1)


async def test_a_stream_that_leaves_is_sent_nothing(broadcaster: Broadcaster) -> None:
    broadcaster = Broadcaster(WriteWatchdog(), window=1)
    members = [Subscriber(broadcaster) for _ in range(3)]
    announce(broadcaster, members)
    assert await offered(members) == [0]
    broadcaster.leave(members[1])
    members[0].writer.valve.set()
    assert await offered(members) == [0, 2]
    assert broadcaster.streams() == (members[0], members[2])
    assert len(broadcaster) == 2


async def test_a_change_amid_a_send_is_sent_by_the_same_turn(broadcaster: Broadcaster) -> None:
    member = Subscriber(broadcaster)
    announce(broadcaster, [member])
    assert await offered([member]) == [0]
    announce(broadcaster, [member])
    announce(broadcaster, [member])
    member.writer.valve.set()
    await all_take([member], 2)
    assert member.writer.frames == [b"1", b"2"], "what came meanwhile is one frame"


async def test_many_changes_before_a_turn_are_one_frame(broadcaster: Broadcaster) -> None:
    member = Subscriber(broadcaster, takes=True)
    for _ in range(10):
        announce(broadcaster, [member])
    await all_take([member], 1)
    assert member.writer.frames == [b"10"]


async def test_a_busy_stream_is_left_to_whoever_sends_for_it(broadcaster: Broadcaster) -> None:
    member = Subscriber(broadcaster, takes=True)
    member.is_busy = True
    announce(broadcaster, [member])
    assert await offered([member]) == []
    member.is_busy = False
    broadcaster.wake(member)
    await all_take([member], 1)


async def test_who_takes_long_keeps_no_place_from_the_others(
    watchdog: WriteWatchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    broadcaster = Broadcaster(watchdog, window=1)
    slow, quick = members = Subscriber(broadcaster), Subscriber(broadcaster, takes=True)
    announce(broadcaster, members)
    assert await offered(members) == [0]
    place_is_overdue(watchdog, monkeypatch)
    await all_take([quick], 1)
    announce(broadcaster, members)
    await all_take([quick], 2)
    slow.writer.valve.set()
    await all_take([slow], 2)
    assert slow.writer.frames == [b"1", b"1"]


async def test_the_window_is_whole_again_after_a_long_send(
    watchdog: WriteWatchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    broadcaster = Broadcaster(watchdog, window=1)
    slow, *others = members = [Subscriber(broadcaster) for _ in range(4)]
    announce(broadcaster, members)
    assert await offered(members) == [0]
    place_is_overdue(watchdog, monkeypatch)
    assert await offered(members) == [0, 1], "one place was given away"
    slow.writer.valve.set()
    assert await offered(members) == [0, 1], "and is not given back a second time"
    for other in others:
        other.writer.valve.set()
    await all_take(members, 1)


async def test_who_takes_too_long_is_told_so_and_the_others_go_on(
    watchdog: WriteWatchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    broadcaster = Broadcaster(watchdog, window=1)
    pending, quick = members = Subscriber(broadcaster), Subscriber(broadcaster, takes=True)
    announce(broadcaster, members)
    assert await offered(members) == [0]
    monkeypatch.setattr("services.evaluation.broadcast.writes.WRITE_SECONDS", -1)
    watchdog.look()
    await all_take([quick], 1)
    assert isinstance(pending.error, SlowReader)


async def test_a_reader_that_is_gone_is_lost_alone(broadcaster: Broadcaster) -> None:
    class Gone(ReaderWire):
        async def try_write(self, frame: bytes) -> None:
            raise ConnectionError

    gone, other = members = Subscriber(broadcaster), Subscriber(broadcaster, takes=True)
    gone.writer = Gone()
    announce(broadcaster, members)
    await all_take([other], 1)
    assert (gone.is_lost, gone.error) == (True, None)


async def test_a_stream_that_cannot_tell_what_is_due_fails_alone(broadcaster: Broadcaster) -> None:
    class Confused(Subscriber):
        def take_due(self) -> Frames:
            raise ZeroDivisionError

    confused, other = members = Confused(broadcaster), Subscriber(broadcaster, takes=True)
    announce(broadcaster, members)
    await all_take([other], 1)
    assert isinstance(confused.error, ZeroDivisionError)
    assert not confused.is_busy


async def test_drivers_end_with_the_process_and_nothing_is_sent_after_it(
    watchdog: WriteWatchdog,
) -> None:
    broadcaster = Broadcaster(watchdog, window=2)
    members = [Subscriber(broadcaster) for _ in range(4)]
    announce(broadcaster, members)
    assert await offered(members) == [0, 1]
    await watchdog.close()
    assert watchdog.active == set()
    for member in members:
        member.writer.valve.set()
    announce(broadcaster, members)
    assert await offered(members) == [0, 1]
    assert [member.writer.frames for member in members] == [[]] * 4


async def test_who_joins_a_closed_hub_is_told_goodbye(broadcaster: Broadcaster) -> None:
    early = Subscriber(broadcaster, takes=True)
    await broadcaster.close(b"bye")
    late = Subscriber(broadcaster, takes=True)
    await all_take([early, late], 1)
    assert early.writer.frames == late.writer.frames == [b"bye"]


class Noted(Subscriber):
    """Says when its turn is."""

    def __init__(self, broadcaster: Broadcaster, order: list[Noted]) -> None:
        super().__init__(broadcaster, takes=True)
        self._order = order

    def take_due(self) -> Frames:
        self._order.append(self)
        return super().take_due()


async def test_who_still_waits_for_a_change_goes_first_when_the_next_one_comes(
    broadcaster: Broadcaster,
) -> None:
    order: list[Noted] = []
    a, b, c, d = members = [Noted(broadcaster, order) for _ in range(4)]
    announce(broadcaster, members)
    assert broadcaster.work(until=0.0)
    assert broadcaster.work(until=0.0)
    e = Noted(broadcaster, order)
    broadcaster.announce()
    while broadcaster.work(until=0.0):
        pass
    assert order[:4] == [a, b, c, d]
    assert order[-1] is e


async def test_a_stream_that_is_woken_does_not_wait_for_a_change_to_reach_all(
    broadcaster: Broadcaster,
) -> None:
    order: list[Noted] = []
    a, b, c = members = [Noted(broadcaster, order) for _ in range(3)]
    announce(broadcaster, members)
    broadcaster.work(until=0.0)
    c.end(b"goodbye")
    broadcaster.work(until=0.0)
    broadcaster.work(until=0.0)
    assert order == [a, c, b]


async def test_a_second_change_goes_out_at_once_and_those_after_it_together_in_their_time() -> None:
    clock = Clock()
    broadcaster = Broadcaster(WriteWatchdog(clock))
    members = [Subscriber(broadcaster, takes=True) for _ in range(STREAMS)]
    for count in (1, 2):
        announce(broadcaster, members)
        await all_take(members, count)
        await offered(members)
    for _ in range(3):
        announce(broadcaster, members)
    await offered(members)
    assert [len(member.writer.frames) for member in members] == [2] * STREAMS
    clock.move(STREAMS * ROUND_SECONDS_PER_STREAM)
    await all_take(members, 3)
    assert {tuple(member.writer.frames) for member in members} == {(b"1", b"1", b"3")}


async def test_however_many_streams_a_change_waits_for_its_time_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "ROUND_SECONDS_PER_STREAM", PATIENCE)
    clock = Clock()
    broadcaster = Broadcaster(WriteWatchdog(clock))
    members = [Subscriber(broadcaster, takes=True) for _ in range(3)]
    for count in (1, 2, 3):
        announce(broadcaster, members)
        if count == 3:
            clock.move(ROUND_SECONDS)
        await all_take(members, count)
