"""Keeps replicas current: by notices at once, and by a slow poll whatever happens to them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import Final

from featmesh.messaging.v1.messaging_pb2 import ChangeNotice
from services.evaluation.replica.replica import Replica, Replicas
from services.messaging.ports import Message
from services.runtime.errors import NotFound, StoreUnavailable
from services.storage.model.definitions import EnvironmentHead
from services.storage.ports.definitions import DefinitionStore

log = logging.getLogger(__name__)

REFRESHES_AT_ONCE: Final = 8
"""Environments that are read side by side."""

LOOK_SECONDS: Final = 2.0
"""How long a poll waits for its read of revisions, and a notice for its environment."""

REFRESH_SECONDS: Final = 20.0
"""How long one environment's changes may take to read; no other one waits for them."""

UNREADABLE_REMEMBERED: Final = 1_000
"""Environments whose unreadable revision is remembered as reported."""


class Follower:
    """Reads what is new of the environments in memory."""

    def __init__(self, replicas: Replicas, definitions: DefinitionStore) -> None:
        self._replicas = replicas
        self._definitions = definitions
        self._gate = asyncio.Semaphore(REFRESHES_AT_ONCE)
        self._refreshes: dict[Replica, asyncio.Task[None]] = {}
        self._failing = False
        self._unreadable: dict[str, int] = {}
        self.last_poll = float("-inf")
        """When a poll last succeeded, by the monotonic clock."""

    async def on_notice(self, message: Message) -> None:
        """A change was announced; a doubled or late notice does nothing."""
        notice = ChangeNotice.FromString(message.payload)
        replica = self._replicas.announced(notice.environment_id, notice.revision)
        if replica is None:
            return
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._advance(replica, notice.revision, replica.advance(notice))
        except (StoreUnavailable, TimeoutError) as error:
            text = "change of %s is left to the poll: %s"
            log.warning(text, notice.environment_id, str(error) or "it takes long to read")

    async def poll(self) -> None:
        """One batched read of revisions, then what is new; a store that is away is logged.

        Environments that take longer than `LOOK_SECONDS` to read are read on meanwhile.
        """
        try:
            await self._poll()
        except (StoreUnavailable, TimeoutError) as error:
            if not self._failing:
                reason = str(error) or f"no answer within {LOOK_SECONDS:g} seconds"
                log.warning("polling fails, snapshots are served as they are: %s", reason)
            self._failing = True
        else:
            self._failing = False
            self.last_poll = time.monotonic()

    async def close(self) -> None:
        """Cancels reads under way."""
        tasks = tuple(self._refreshes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self) -> None:
        replicas = {each.environment_id: each for each in self._replicas.loaded()}
        async with asyncio.timeout(LOOK_SECONDS):
            heads = await self._definitions.read_heads(tuple(replicas))
        started = []
        for environment_id, replica in replicas.items():
            head = heads.get(environment_id)
            if head is None:
                await self._replicas.end(replica)
                continue
            replica.newest = head.revision
            if not replica.is_at(head) and replica not in self._refreshes:
                started.append(self._start(replica, head))
        if started:
            await asyncio.wait(started, timeout=LOOK_SECONDS)
        self._raise_outcomes()

    def _start(self, replica: Replica, head: EnvironmentHead) -> asyncio.Task[None]:
        task = asyncio.create_task(self._refresh_alone(replica, head), name="refresh")
        self._refreshes[replica] = task
        return task

    def _raise_outcomes(self) -> None:
        """Forgets the reads that have ended; raises `StoreUnavailable` if one of them did."""
        ended = [replica for replica, task in self._refreshes.items() if task.done()]
        outcomes = [self._refreshes.pop(replica).exception() for replica in ended]
        for error in outcomes:
            if error is not None:
                raise error

    async def _refresh_alone(self, replica: Replica, head: EnvironmentHead) -> None:
        async with self._gate:
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._advance(replica, head.revision, replica.refresh(head))
            except TimeoutError:
                text = "environment %s: not read within %g seconds, trying again"
                log.warning(text, replica.environment_id, REFRESH_SECONDS)

    async def _advance(self, replica: Replica, revision: int, step: Awaitable[None]) -> None:
        """Raises `StoreUnavailable` alone: one environment's fault is not that of others."""
        try:
            await step
        except StoreUnavailable:
            raise
        except NotFound:
            await self._replicas.end(replica)
        except Exception as error:  # noqa: BLE001 -- reported, and served as it was
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
