from __future__ import annotations

import asyncio

import pytest

from services.ingest.circuit_breaker import CircuitBreaker
from services.runtime.errors import StoreUnavailable
from tests.support.waiting import PATIENCE


async def answers() -> None:
    """A store that is there."""


async def test_a_message_that_a_healthy_store_refuses_for_ever_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.ingest.circuit_breaker.HIGH_SECONDS", 0.2)
    gate = CircuitBreaker(answers)

    async def refused() -> None:
        raise StoreUnavailable("MongoDB refused: this update")

    with pytest.raises(StoreUnavailable):
        async with asyncio.timeout(PATIENCE):
            await gate.passes(refused)
    assert not gate.fault


async def test_while_the_store_is_away_a_message_waits_and_then_passes() -> None:
    is_away = True

    async def ping() -> None:
        if is_away:
            raise StoreUnavailable("away")

    gate = CircuitBreaker(ping)
    tried = asyncio.Event()

    async def attempt() -> None:
        tried.set()
        if is_away:
            raise StoreUnavailable("away")

    async with asyncio.TaskGroup() as group:
        passing = group.create_task(gate.passes(attempt))
        await tried.wait()
        await gate.probe()
        assert gate.fault
        assert not passing.done()
        is_away = False
        await gate.probe()
        async with asyncio.timeout(PATIENCE):
            await passing
