"""Users that streams and evaluations bring along, published in the background."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from featmesh.engine.model import Context
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.messaging.v1 import messaging_pb2
from featmesh.wire import context_to_proto
from services.evaluation.clock import ClockMs
from services.messaging.ports import Bus, Message, Topic
from services.runtime.errors import MeshError
from services.runtime.events import BATCH_USERS

log = logging.getLogger(__name__)

REMEMBERED: Final = 10_000
"""Users of whom a process remembers that it published them just so."""

WAITING: Final = 10_000
"""Users that wait to be published; beyond that they are dropped and counted."""

WAITING_BYTES: Final = 32 * 1024 * 1024
"""Their contexts together, encoded."""

BATCH_BYTES: Final = 4 * 1024 * 1024
"""Contexts of one message, the last of which may go beyond it: brokers refuse larger ones."""

FLUSH_SECONDS: Final = 1.0
"""How often users that wait are published."""

Id = tuple[str, str]
"""Environment id and the user's key."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A user as it came, encoded once."""

    encoded: bytes

    @classmethod
    def of(cls, user: Context) -> _Seen:
        return cls(context_to_proto(user).SerializeToString(deterministic=True))

    @property
    def digest(self) -> bytes:
        return hashlib.blake2b(self.encoded, digest_size=16).digest()


class SeenUsers:
    """Never delays a stream, and says of each user only once what is the same."""

    def __init__(self, bus: Bus, clock_ms: ClockMs) -> None:
        self._bus = bus
        self._clock_ms = clock_ms
        self._published: OrderedDict[Id, bytes] = OrderedDict()
        self._waiting: dict[Id, _Seen] = {}
        self._waiting_bytes = 0
        self._failing = False
        self.dropped = 0
        """Users that found no place among those that wait."""

    @property
    def waiting(self) -> int:
        """Users that wait to be published."""
        return len(self._waiting)

    def see(self, environment_id: str, user: Context) -> None:
        """Notes a user for the next flush."""
        key, seen = (environment_id, user.key), _Seen.of(user)
        earlier = self._waiting.get(key)
        if earlier is None and self._published.get(key) == seen.digest:
            self._published.move_to_end(key)
            return
        size = self._waiting_bytes + len(seen.encoded) - (len(earlier.encoded) if earlier else 0)
        if size > WAITING_BYTES or (earlier is None and len(self._waiting) >= WAITING):
            self.dropped += 1
            return
        self._waiting[key] = seen
        self._waiting_bytes = size

    async def flush(self) -> None:
        """Publishes what waits; what the broker does not take waits on."""
        while self._waiting:
            batch = self._next_batch()
            try:
                await self._publish(batch)
            except MeshError as error:
                self._report(error)
                return
            self._failing = False
            for key, seen in batch.items():
                self._settle(key, seen)

    def _next_batch(self) -> dict[Id, _Seen]:
        """Users of the environment that waits longest."""
        environment_id = next(iter(self._waiting))[0]
        batch: dict[Id, _Seen] = {}
        size = 0
        for key, seen in self._waiting.items():
            if key[0] == environment_id:
                batch[key] = seen
                size += len(seen.encoded)
                if len(batch) == BATCH_USERS or size >= BATCH_BYTES:
                    break
        return batch

    async def _publish(self, batch: dict[Id, _Seen]) -> None:
        environment_id = next(iter(batch))[0]
        payload = messaging_pb2.UserBatch(
            environment_id=environment_id,
            seen_at_ms=self._clock_ms(),
            users=[evaluation_pb2.Context.FromString(seen.encoded) for seen in batch.values()],
        ).SerializeToString()
        await self._bus.publish(Topic.USERS, Message(str(uuid.uuid4()), environment_id, payload))

    def _settle(self, key: Id, seen: _Seen) -> None:
        if self._waiting.get(key) is seen:
            del self._waiting[key]
            self._waiting_bytes -= len(seen.encoded)
        self._published[key] = seen.digest
        self._published.move_to_end(key)
        while len(self._published) > REMEMBERED:
            self._published.popitem(last=False)

    def _report(self, error: MeshError) -> None:
        if not self._failing:
            log.warning("users wait to be published (%d dropped so far): %s", self.dropped, error)
        self._failing = True
