"""Sends batches as an SDK does: the same batch again until it is taken."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import Any, Final

import grpc
from grpc import aio

from bench.insights.batches import EVENTS, Batch, Batches
from bench.pace import until_due

METHOD: Final = "/featmesh.insights.v1.InsightsService/Track"
DEADLINE: Final = 10.0
PAUSE: Final = 0.05
PATIENCE: Final = 120.0
"""Seconds after which a batch that nobody takes is a failure of the run."""

_RETRIED: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)


@dataclass
class Sent:
    """What was acknowledged, and what it took."""

    acknowledged: list[str] = field(default_factory=list)
    """Ids of batches."""
    latencies: list[float] = field(default_factory=list)
    """Of each acknowledged attempt, in milliseconds."""
    retries: Counter[str] = field(default_factory=Counter)
    """Attempts that had another answer, by its code."""
    seconds: float = 0.0

    @property
    def events(self) -> int:
        """Acknowledged events."""
        return len(self.acknowledged) * EVENTS


class Sender:
    """Several connections, several calls on each."""

    def __init__(self, address: str, secret: str, *, connections: int = 4, calls: int = 8) -> None:
        self._address = address
        self._metadata = (("authorization", f"Bearer {secret}"),)
        self._connections = connections
        self._calls = calls
        self._batches = Batches()

    async def send(
        self,
        batches: int,
        *,
        per_second: float = 0.0,
        into: Sent | None = None,
        until: asyncio.Event | None = None,
    ) -> Sent:
        """So many batches, as fast as they are taken or at a rate; noted ``into`` as they go.

        With ``until``, more of them if it is not set yet.
        """
        sent, began = into or Sent(), time.perf_counter()
        numbers = takewhile(
            lambda number: number < batches or (until is not None and not until.is_set()), count()
        )
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                channel = await stack.enter_async_context(self._channel())
                track: Any = channel.unary_unary(METHOD)
                for _ in range(self._calls):
                    group.create_task(self._lane(track, numbers, sent, began, per_second))
        sent.seconds = time.perf_counter() - began
        return sent

    def _channel(self) -> aio.Channel:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 500)]
        return aio.insecure_channel(self._address, options=options)

    async def _lane(
        self, track: Any, numbers: Any, sent: Sent, began: float, per_second: float
    ) -> None:
        for number in numbers:
            await until_due(number, began, per_second)
            await self._until_taken(track, self._batches.take(), sent)

    async def _until_taken(self, track: Any, batch: Batch, sent: Sent) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                began = time.perf_counter()
                try:
                    await track(batch.request, metadata=self._metadata, timeout=DEADLINE)
                except aio.AioRpcError as error:
                    if error.code() not in _RETRIED:
                        raise
                    sent.retries[error.code().name] += 1
                    await asyncio.sleep(PAUSE)
                else:
                    sent.latencies.append((time.perf_counter() - began) * 1_000)
                    sent.acknowledged.append(batch.id)
                    return
