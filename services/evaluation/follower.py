"""Keeps replicas current: by notices at once, and by a slow poll whatever happens to them."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from featmesh.messaging.v1 import messaging_pb2
from services.evaluation.replica import Replica, Replicas
from services.messaging.ports import Message
from services.runtime.errors import NotFound, StoreUnavailable
from services.storage.ports import DefinitionStore

log = logging.getLogger(__name__)

REFRESHES_AT_ONCE: Final = 8
"""Environments that one poll reads side by side."""

UNREADABLE_REMEMBERED: Final = 1_000
"""Environments whose unreadable revision is remembered as reported."""


class Follower:
    """Reads what is new of the environments in memory."""

    def __init__(self, replicas: Replicas, definitions: DefinitionStore) -> None:
        self._replicas = replicas
        self._definitions = definitions
        self._failing = False
        self._unreadable: dict[str, int] = {}
        self.last_poll = float("-inf")
        """When a poll last succeeded, by the event loop's clock."""

    async def on_notice(self, message: Message) -> None:
        """A change was announced; a doubled or late notice does nothing."""
        notice = messaging_pb2.ChangeNotice.FromString(message.payload)
        replica = await self._replicas.find(notice.environment_id)
        if replica is None or notice.revision <= replica.view.revision:
            return
        try:
            await replica.refresh(notice.revision)
        except StoreUnavailable as error:
            log.warning("change of %s is left to the poll: %s", notice.environment_id, error)

    async def poll_for_ever(self, interval: float, idle: float) -> None:
        """Polls every ``interval`` seconds; drops environments idle for ``idle`` seconds."""
        while True:
            await self.poll()
            await self._replicas.drop_idle(idle)
            await asyncio.sleep(interval)

    async def poll(self) -> None:
        """One batched read of revisions, then what is new; a store that is away is logged."""
        try:
            await self._poll()
        except StoreUnavailable as error:
            if not self._failing:
                log.warning("polling fails, snapshots are served as they are: %s", error)
            self._failing = True
        else:
            self._failing = False
            self.last_poll = asyncio.get_running_loop().time()

    async def _poll(self) -> None:
        replicas = {each.environment_id: each for each in self._replicas.loaded()}
        revisions = await self._definitions.read_revisions(tuple(replicas))
        behind = [
            (replicas[key], revision)
            for key, revision in revisions.items()
            if revision != replicas[key].view.revision
        ]
        gate = asyncio.Semaphore(REFRESHES_AT_ONCE)
        outcomes = await asyncio.gather(
            *(self._refresh(gate, replica, revision) for replica, revision in behind),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _refresh(self, gate: asyncio.Semaphore, replica: Replica, revision: int) -> None:
        async with gate:
            try:
                await replica.refresh(revision)
            except StoreUnavailable:
                raise
            except NotFound:
                log.info("environment %s is gone", replica.environment_id)
            except Exception as error:  # noqa: BLE001 -- one environment's fault is not the poll's
                self._report_unreadable(replica.environment_id, revision, error)

    def _report_unreadable(self, environment_id: str, revision: int, error: Exception) -> None:
        """In full, once for each revision; the environment is served as it was."""
        if self._unreadable.get(environment_id) == revision:
            return
        while len(self._unreadable) >= UNREADABLE_REMEMBERED:
            del self._unreadable[next(iter(self._unreadable))]
        self._unreadable[environment_id] = revision
        text = "environment %s: revision %d cannot be read"
        log.error(text, environment_id, revision, exc_info=error)
