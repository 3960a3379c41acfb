from __future__ import annotations

from featmesh.engine.model import Context
from services.evaluation.limits import LIST_ELEMENTS, TRACK_BYTES
from services.evaluation.seen_users import WAITING_BYTES, SeenUsers
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Message, Topic

LARGE = tuple("x" * 1_000 for _ in range(LIST_ELEMENTS))
"""A list of about 1 MB, which a stream's request may just hold."""

MANY = 100


async def test_large_users_are_published_in_messages_that_a_broker_takes(
    bus: InProcessBus,
) -> None:
    sizes: list[int] = []

    async def take(message: Message) -> None:
        sizes.append(len(message.payload))

    await bus.consume(Topic.USERS, take, prefetch=1)
    users = SeenUsers(bus, lambda: 1)
    for number in range(MANY):
        users.see("e", Context(f"user-{number}", attributes={"roles": LARGE}))
    assert users.dropped
    await users.flush()
    assert max(sizes) <= TRACK_BYTES
    assert sum(sizes) <= WAITING_BYTES + len(sizes) * 1_024

    sizes.clear()
    users.see("e", Context("user-0", attributes={"roles": LARGE}))
    await users.flush()
    assert not sizes  # it is known that this one was published just so
