"""Tells `evaluation` of revoked SDK keys, so that their streams end at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import uuid4

from featmesh.messaging.v1 import messaging_pb2
from services.messaging.ports import Bus, Message, Topic
from services.runtime.errors import ResourceExhausted, Unavailable


class KeyNotices:
    """Publishes one notice for each environment that waits, whatever number of its keys.

    Nothing rests on it: `evaluation` looks at the keys of its streams every few seconds. So a
    notice is tried once.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: dict[str, None] = {}
        self._due = asyncio.Event()

    def wake(self, environment_id: str) -> None:
        """One of its keys was revoked."""
        self._waiting[environment_id] = None
        self._due.set()

    async def run(self) -> None:
        """Publishes until it is cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            while self._waiting:
                environment_id, _ = self._waiting.popitem()
                with suppress(Unavailable, ResourceExhausted):
                    await self._bus.publish(Topic.CHANGES, _notice(environment_id))


def _notice(environment_id: str) -> Message:
    notice = messaging_pb2.ChangeNotice(environment_id=environment_id, keys_revoked=True)
    return Message(str(uuid4()), environment_id, notice.SerializeToString())
