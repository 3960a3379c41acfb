from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from services.evaluation.broadcast import broadcaster as hub_module
from services.evaluation.broadcast.broadcaster import Hub
from services.evaluation.broadcast.frames import Frames
from services.evaluation.broadcast.writes import Sends, SlowReader
from services.evaluation.limits import PASS_SECONDS, PASS_SECONDS_PER_STREAM
from tests.support.streams import Clock, ReaderWire
from tests.support.waiting import PATIENCE

WINDOW = 64
STREAMS = 200


class Member:
    """A stream that owes a frame for each change; it is done with its first set."""

    def __init__(self, hub: Hub, *, takes: bool = False) -> None:
        self.wire = ReaderWire(takes=takes)
        self.is_busy = False
        self.owed = 0
        self.goodbye: bytes | None = None
        self.error: Exception | None = None
        self.is_lost = False
        self._hub = hub
        hub.join(self)

    def change(self) -> None:
        self.owed += 1

    def end(self, goodbye: bytes) -> None:
        self.goodbye = goodbye
        self._hub.wake(self)

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

    def lose(self) -> None:
        self.is_lost = True
        self._hub.leave(self)

    def fail(self, error: Exception) -> None:
        self.error = error
        self._hub.leave(self)


@pytest.fixture
def sends() -> Sends:
    return Sends()


@pytest.fixture
async def hub(sends: Sends) -> Hub:
    return Hub(sends)


def announce(hub: Hub, members: Sequence[Member]) -> None:
    for member in members:
        member.change()
    hub.announce()


async def offered(members: Sequence[Member]) -> list[int]:
    """To which a frame was offered, once the loop has nothing left to run."""
    for _ in range(8):
        await asyncio.sleep(0)
    return [index for index, member in enumerate(members) if member.wire.offered.is_set()]


async def all_take(members: Sequence[Member], count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        for member in members:
            await member.wire.takes(count)


def place_is_overdue(sends: Sends, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at the sends under way as if each took longer than its place is kept."""
    with monkeypatch.context() as patch:
        patch.setattr("services.evaluation.broadcast.writes.PLACE_SECONDS", -1)
        sends.look()


async def test_only_a_window_of_sends_is_outstanding_at_once(hub: Hub) -> None:
    members = [Member(hub) for _ in range(STREAMS)]
    announce(hub, members)
    assert await offered(members) == list(range(WINDOW))
    for member in members:
        member.wire.valve.set()
    await all_take(members, 1)


async def test_each_finished_send_begins_the_next_until_all_are_done(hub: Hub) -> None:
    members = [Member(hub) for _ in range(STREAMS)]
    announce(hub, members)
    for turn, member in enumerate(members):
        assert await offered(members) == list(range(min(turn + WINDOW, STREAMS)))
        member.wire.valve.set()
    await all_take(members, 1)


async def test_a_stream_that_leaves_is_sent_nothing(hub: Hub) -> None:
    hub = Hub(Sends(), window=1)
    members = [Member(hub) for _ in range(3)]
    announce(hub, members)
    assert await offered(members) == [0]
    hub.leave(members[1])
    members[0].wire.valve.set()
    assert await offered(members) == [0, 2]
    assert hub.streams() == (members[0], members[2])
    assert len(hub) == 2


async def test_a_change_amid_a_send_is_sent_by_the_same_turn(hub: Hub) -> None:
    member = Member(hub)
    announce(hub, [member])
    assert await offered([member]) == [0]
    announce(hub, [member])
    announce(hub, [member])
    member.wire.valve.set()
    await all_take([member], 2)
    assert member.wire.frames == [b"1", b"2"], "what came meanwhile is one frame"


async def test_many_changes_before_a_turn_are_one_frame(hub: Hub) -> None:
    member = Member(hub, takes=True)
    for _ in range(10):
        announce(hub, [member])
    await all_take([member], 1)
    assert member.wire.frames == [b"10"]


async def test_a_busy_stream_is_left_to_whoever_sends_for_it(hub: Hub) -> None:
    member = Member(hub, takes=True)
    member.is_busy = True
    announce(hub, [member])
    assert await offered([member]) == []
    member.is_busy = False
    hub.wake(member)
    await all_take([member], 1)


async def test_who_takes_long_keeps_no_place_from_the_others(
    sends: Sends, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(sends, window=1)
    slow, quick = members = Member(hub), Member(hub, takes=True)
    announce(hub, members)
    assert await offered(members) == [0]
    place_is_overdue(sends, monkeypatch)
    await all_take([quick], 1)
    announce(hub, members)
    await all_take([quick], 2)
    slow.wire.valve.set()
    await all_take([slow], 2)
    assert slow.wire.frames == [b"1", b"1"]


async def test_the_window_is_whole_again_after_a_long_send(
    sends: Sends, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(sends, window=1)
    slow, *others = members = [Member(hub) for _ in range(4)]
    announce(hub, members)
    assert await offered(members) == [0]
    place_is_overdue(sends, monkeypatch)
    assert await offered(members) == [0, 1], "one place was given away"
    slow.wire.valve.set()
    assert await offered(members) == [0, 1], "and is not given back a second time"
    for other in others:
        other.wire.valve.set()
    await all_take(members, 1)


async def test_who_takes_too_long_is_told_so_and_the_others_go_on(
    sends: Sends, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(sends, window=1)
    stuck, quick = members = Member(hub), Member(hub, takes=True)
    announce(hub, members)
    assert await offered(members) == [0]
    monkeypatch.setattr("services.evaluation.broadcast.writes.WRITE_SECONDS", -1)
    sends.look()
    await all_take([quick], 1)
    assert isinstance(stuck.error, SlowReader)


async def test_a_reader_that_is_gone_is_lost_alone(hub: Hub) -> None:
    class Gone(ReaderWire):
        async def offer(self, frame: bytes) -> None:
            raise ConnectionError

    gone, other = members = Member(hub), Member(hub, takes=True)
    gone.wire = Gone()
    announce(hub, members)
    await all_take([other], 1)
    assert (gone.is_lost, gone.error) == (True, None)


async def test_a_stream_that_cannot_tell_what_is_due_fails_alone(hub: Hub) -> None:
    class Confused(Member):
        def take_due(self) -> Frames:
            raise ZeroDivisionError

    confused, other = members = Confused(hub), Member(hub, takes=True)
    announce(hub, members)
    await all_take([other], 1)
    assert isinstance(confused.error, ZeroDivisionError)
    assert not confused.is_busy


async def test_drivers_end_with_the_process_and_nothing_is_sent_after_it(sends: Sends) -> None:
    hub = Hub(sends, window=2)
    members = [Member(hub) for _ in range(4)]
    announce(hub, members)
    assert await offered(members) == [0, 1]
    await sends.close()
    assert sends.active == set()
    for member in members:
        member.wire.valve.set()
    announce(hub, members)
    assert await offered(members) == [0, 1]
    assert [member.wire.frames for member in members] == [[]] * 4


async def test_who_joins_a_closed_hub_is_told_goodbye(hub: Hub) -> None:
    early = Member(hub, takes=True)
    await hub.close(b"bye")
    late = Member(hub, takes=True)
    await all_take([early, late], 1)
    assert early.wire.frames == late.wire.frames == [b"bye"]


class Noted(Member):
    """Says when its turn is."""

    def __init__(self, hub: Hub, order: list[Noted]) -> None:
        super().__init__(hub, takes=True)
        self._order = order

    def take_due(self) -> Frames:
        self._order.append(self)
        return super().take_due()


async def test_who_still_waits_for_a_change_goes_first_when_the_next_one_comes(hub: Hub) -> None:
    order: list[Noted] = []
    a, b, c, d = members = [Noted(hub, order) for _ in range(4)]
    announce(hub, members)
    assert hub.work(until=0.0)
    assert hub.work(until=0.0)
    e = Noted(hub, order)
    hub.announce()
    while hub.work(until=0.0):
        pass
    assert order[:4] == [a, b, c, d]
    assert order[-1] is e


async def test_a_stream_that_is_woken_does_not_wait_for_a_change_to_reach_all(hub: Hub) -> None:
    order: list[Noted] = []
    a, b, c = members = [Noted(hub, order) for _ in range(3)]
    announce(hub, members)
    hub.work(until=0.0)
    c.end(b"goodbye")
    hub.work(until=0.0)
    hub.work(until=0.0)
    assert order == [a, c, b]


async def test_a_second_change_goes_out_at_once_and_those_after_it_together_in_their_time() -> None:
    clock = Clock()
    hub = Hub(Sends(clock))
    members = [Member(hub, takes=True) for _ in range(STREAMS)]
    for count in (1, 2):
        announce(hub, members)
        await all_take(members, count)
        await offered(members)
    for _ in range(3):
        announce(hub, members)
    await offered(members)
    assert [len(member.wire.frames) for member in members] == [2] * STREAMS
    clock.move(STREAMS * PASS_SECONDS_PER_STREAM)
    await all_take(members, 3)
    assert {tuple(member.wire.frames) for member in members} == {(b"1", b"1", b"3")}


async def test_however_many_streams_a_change_waits_for_its_time_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "PASS_SECONDS_PER_STREAM", PATIENCE)
    clock = Clock()
    hub = Hub(Sends(clock))
    members = [Member(hub, takes=True) for _ in range(3)]
    for count in (1, 2, 3):
        announce(hub, members)
        if count == 3:
            clock.move(PASS_SECONDS)
        await all_take(members, count)
