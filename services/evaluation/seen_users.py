"""Users that streams and evaluations bring along, published in the background."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import OrderedDict
from typing import Final

from featmesh.engine.model import Context
from featmesh.messaging.v1 import messaging_pb2
from featmesh.wire import context_to_proto
from services.evaluation.feeds import ClockMs
from services.evaluation.limits import BATCH_USERS
from services.messaging.ports import Bus, Message, Topic
from services.runtime.errors import MeshError

log = logging.getLogger(__name__)

REMEMBERED: Final = 10_000
"""Users of whom a process remembers that it published them just so."""

WAITING: Final = 10_000
"""Users that wait to be published; beyond that they are dropped and counted."""

FLUSH_SECONDS: Final = 1.0

Seen = tuple[str, Context]
"""Environment id and user."""


class SeenUsers:
    """Never delays a stream, and says of each user only once what is the same."""

    def __init__(self, bus: Bus, clock_ms: ClockMs) -> None:
        self._bus = bus
        self._clock_ms = clock_ms
        self._published: OrderedDict[tuple[str, str], Context] = OrderedDict()
        self._waiting: dict[tuple[str, str], Seen] = {}
        self._failing = False
        self.dropped = 0
        """Users that found no place while the broker was away."""

    def see(self, environment_id: str, user: Context) -> None:
        """Notes a user for the next flush."""
        key = (environment_id, user.key)
        if self._published.get(key) == user:
            self._published.move_to_end(key)
            return
        if key not in self._waiting and len(self._waiting) >= WAITING:
            self.dropped += 1
            return
        self._waiting[key] = (environment_id, user)

    async def flush_for_ever(self) -> None:
        """Publishes what waits, every `FLUSH_SECONDS`."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Publishes what waits; what the broker does not take waits on."""
        while self._waiting:
            environment_id = next(iter(self._waiting))[0]
            batch = [key for key in self._waiting if key[0] == environment_id][:BATCH_USERS]
            users = [self._waiting[key][1] for key in batch]
            try:
                await self._publish(environment_id, users)
            except MeshError as error:
                self._report(error)
                return
            self._failing = False
            for key, user in zip(batch, users, strict=True):
                self._settle(key, user)

    async def _publish(self, environment_id: str, users: list[Context]) -> None:
        batch = messaging_pb2.UserBatch(
            environment_id=environment_id,
            seen_at_ms=self._clock_ms(),
            users=[context_to_proto(user) for user in users],
        )
        message = Message(str(uuid.uuid4()), environment_id, batch.SerializeToString())
        await self._bus.publish(Topic.USERS, message)

    def _settle(self, key: tuple[str, str], user: Context) -> None:
        if self._waiting.get(key, ("", None))[1] is user:
            del self._waiting[key]
        self._published[key] = user
        self._published.move_to_end(key)
        while len(self._published) > REMEMBERED:
            self._published.popitem(last=False)

    def _report(self, error: MeshError) -> None:
        if not self._failing:
            log.warning("users wait to be published (%d dropped so far): %s", self.dropped, error)
        self._failing = True
