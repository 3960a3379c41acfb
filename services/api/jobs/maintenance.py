"""Background work on the store, done by whichever replica holds the lease."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final
from uuid import uuid4

from services.runtime.backoff import wait_at_most
from services.runtime.errors import Unavailable
from services.storage.ports.maintenance import MaintenanceStore

log = logging.getLogger(__name__)

LEASE: Final = "upkeep"
LEASE_DURATION: Final = timedelta(minutes=2)
"""Twice as long as a transaction may take; taken anew for every step."""

POLL_SECONDS: Final = 30.0
"""How often to look for work, after a replica died for example."""

STEP: Final = 1_000
"""Documents that one step removes at most."""


class Maintenance:
    """Removes what deleted environments left behind, and tombstones older than ``retention``."""

    def __init__(self, store: MaintenanceStore, retention: timedelta) -> None:
        self._store = store
        self._retention = retention
        self._holder = str(uuid4())
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to remove now."""
        self._woken.set()

    async def run(self) -> None:
        """Works until it is cancelled."""
        failed = False
        while True:
            self._woken.clear()
            try:
                more = await self.step()
                failed = False
            except Unavailable as error:
                if not failed:
                    log.warning("upkeep of the store waits: %s", error.message)
                failed, more = True, False
            if not more:
                await wait_at_most(POLL_SECONDS, self._woken)

    async def step(self) -> bool:
        """A bounded piece of work, if the lease is to be had; whether there may be more."""
        if not await self._store.hold_lease(LEASE, self._holder, LEASE_DURATION):
            return False
        removed = await self._store.remove_deleted(STEP)
        if removed:
            log.info("removed %d documents of deleted environments", removed)
        compacted = await self._store.compact_tombstones(self._retention, STEP)
        if compacted:
            log.info("compacted %d tombstones", compacted)
        return removed > 0 or compacted > 0

    async def renew_epochs_if_moved(self) -> None:
        """Once; by every replica, since a database may be restored while all of them run."""
        try:
            await self._store.renew_epochs_if_moved()
        except Unavailable:  # readiness tells of it
            return

    async def release(self) -> None:
        """After `run` was cancelled: another replica need not wait for the lease to run out."""
        try:
            await self._store.release_lease(LEASE, self._holder)
        except Unavailable as error:
            log.warning("the lease of upkeep runs out by itself: %s", error.message)
