"""Sends batches of events all the time; each that was acknowledged must be stored, once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

import grpc
from grpc import aio

from featmesh.insights.v1 import insights_pb2, insights_pb2_grpc
from tests.chaos.cluster import DATABASE, Cluster
from tests.chaos.waiting import until

_EVERY_SECONDS: Final = 0.2
_ATTEMPT_SECONDS: Final = 10.0
_LANES: Final = 2
_EVENT: Final = "chaos"

_AGAIN: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,  # by a server that stops
    }
)


class Tracker:
    """An SDK's event sender reduced to its promise: the same batch until it is taken."""

    def __init__(self, connection: aio.Channel, key: str) -> None:
        self._stub: Any = insights_pb2_grpc.InsightsServiceStub(connection)
        self._metadata = (("authorization", f"Bearer {key}"),)
        self._sending = asyncio.Event()
        self._sending.set()
        self._under_way = 0
        self.acknowledged: set[str] = set()
        """Batches since the last check."""

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_LANES):
                group.create_task(self._run())

    async def pause(self) -> None:
        """Returns when no batch is under way."""
        self._sending.clear()

        async def look() -> bool:
            return self._under_way == 0

        await until(look, "every batch under way is acknowledged")

    def resume(self) -> None:
        """Batches go out again."""
        self._sending.set()

    async def _run(self) -> None:
        while True:
            await self._sending.wait()
            batch_id = str(uuid4())
            self._under_way += 1
            await self._send(_batch(batch_id))
            self.acknowledged.add(batch_id)
            self._under_way -= 1
            await asyncio.sleep(_EVERY_SECONDS)

    async def _send(self, batch: insights_pb2.TrackRequest) -> None:
        while True:
            try:
                await self._stub.Track(batch, metadata=self._metadata, timeout=_ATTEMPT_SECONDS)
            except aio.AioRpcError as error:
                if error.code() not in _AGAIN:
                    raise
                await asyncio.sleep(_EVERY_SECONDS)
            else:
                return

    async def stored(self, cluster: Cluster) -> None:
        """Returns when all that was acknowledged is stored."""
        wanted = tuple(self.acknowledged)

        async def look() -> bool:
            return len(await _stored_events(cluster, wanted)) >= len(wanted)

        await until(look, "every acknowledged event is stored")

    async def stored_twice(self, cluster: Cluster) -> list[str]:
        """A sentence for each event that is."""
        users = await _stored_events(cluster, tuple(self.acknowledged))
        twice = sorted({each for each in users if users.count(each) > 1})
        return [f"the event of batch {each} is stored more than once" for each in twice[:10]]


async def _stored_events(cluster: Cluster, batches: Sequence[str]) -> list[str]:
    """The batches' events: one user's each, who is named after the batch."""
    primary = await cluster.mongo.primary()
    events = primary.client[DATABASE]["metric_events"]
    found = events.find({"name": _EVENT, "user": {"$in": list(batches)}}, {"user": 1})
    return [each["user"] async for each in found]


def _batch(batch_id: str) -> insights_pb2.TrackRequest:
    now = time.time_ns() // 1_000_000
    request = insights_pb2.TrackRequest(batch_id=batch_id, sent_at_ms=now)
    request.metrics.add(name=_EVENT, user_key=batch_id, value=1.0, time_ms=now)
    request.evaluations.add(
        flag_key="always-on",
        variation_id="on",
        user_key=batch_id,
        count=1,
        first_time_ms=now,
        last_time_ms=now,
    )
    return request
