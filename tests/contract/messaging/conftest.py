from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Bus
from tests.support.messaging import own_topology, rabbitmq_bus


@pytest.fixture(params=["in-process", "rabbitmq"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    """Every adapter in turn, with nothing in it."""
    if request.param == "in-process":
        bus = InProcessBus()
        yield bus
        await bus.close()
        return
    url: str = request.getfixturevalue("amqp_url")
    async with own_topology(url) as prefix, rabbitmq_bus(url, prefix) as opened:
        yield opened
