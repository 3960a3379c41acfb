from __future__ import annotations

from featmesh.engine.model import Context
from services.evaluation.events.end_users import WAITING_BYTES, SeenUsers
from services.evaluation.limits import TRACK_BYTES
from services.messaging.inprocess import InProcessBus
from services.runtime.contexts import LIST_ELEMENTS
from tests.support.messaging import Recorder

LARGE = tuple("x" * 1_000 for _ in range(LIST_ELEMENTS))
"""A list of about 1 MB, which a stream's request may just hold."""

MANY = 100


async def test_large_users_are_published_in_messages_that_a_broker_takes(
    bus: InProcessBus, users: Recorder
) -> None:
    seen = SeenUsers(bus, lambda: 1)
    for number in range(MANY):
        seen.see("e", Context(f"user-{number}", attributes={"roles": LARGE}))
    assert seen.dropped
    await seen.flush()
    sizes = [len(message.payload) for message in users.got]
    assert max(sizes) <= TRACK_BYTES
    assert sum(sizes) <= WAITING_BYTES + len(sizes) * 1_024

    users.got.clear()
    seen.see("e", Context("user-0", attributes={"roles": LARGE}))
    await seen.flush()
    assert not users.got  # it is known that this one was published just so
