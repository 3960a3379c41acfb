"""Background work on the store, done by whichever replica holds the lease."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Retentions:
    """How long the store keeps history and audit entries; None for ever."""

    history: timedelta | None = None
    audit: timedelta | None = None


class Maintenance:
    """Removes what deleted environments left behind, and what is older than it is to be kept.

    Tombstones are kept for ``retention``; history at least as long, for SDKs that resume.
    """

    def __init__(
        self,
        store: MaintenanceStore,
        retention: timedelta,
        retentions: Retentions | None = None,
    ) -> None:
        self._store = store
        self._retention = retention
        self._retentions = retentions or Retentions()
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
        pruned = await self._prune()
        return removed > 0 or compacted > 0 or pruned > 0

    async def _prune(self) -> int:
        history = audit = 0
        if self._retentions.history is not None:
            longer = max(self._retentions.history, self._retention)
            history = await self._store.prune_history(longer, STEP)
        if self._retentions.audit is not None:
            audit = await self._store.prune_audit(self._retentions.audit, STEP)
        if history or audit:
            log.info("removed %d old versions and %d old audit entries", history, audit)
        return history + audit

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
