from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.support.messaging import own_topology
from tests.support.proxy import TcpProxy


@pytest.fixture
async def prefix(amqp_url: str) -> AsyncIterator[str]:
    """Exchanges and queues of the test's own."""
    async with own_topology(amqp_url) as name:
        yield name


@dataclass(frozen=True)
class Line:
    """The way to the broker, which the test may cut."""

    proxy: TcpProxy
    url: str


@pytest.fixture
async def line(amqp_url: str) -> AsyncIterator[Line]:
    proxy, url = await TcpProxy.in_front_of(amqp_url)
    yield Line(proxy, url)
    await proxy.cut()
