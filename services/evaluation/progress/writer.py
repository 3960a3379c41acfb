"""Writes the progress of this process's streams into the store, where `api` adds them up."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from services.evaluation.progress.environments import Environments
from services.evaluation.progress.tracker import ProgressTracker
from services.runtime.errors import StoreUnavailable
from services.storage.ports.progress import PROGRESS_SECONDS, ProgressStore

log = logging.getLogger(__name__)

WRITE_SECONDS: Final = 0.25
"""Fewest seconds between two writes of progress that changes."""

ALIVE_SECONDS: Final = 3.0
"""How often the process says that it lives: thrice before it is not counted."""

RENEW_SECONDS: Final = PROGRESS_SECONDS / 3
"""Seconds between two writes of progress that stays: the store forgets what is old."""


class ProgressWriter:
    """One bulk write for all environments that changed; none when nothing did.

    A store that is away is logged once; what changed meanwhile is written when it is back.
    """

    def __init__(self, environments: Environments, store: ProgressStore, process_id: str) -> None:
        self._environments = environments
        self._store = store
        self._process_id = process_id
        self._written: dict[str, tuple[ProgressTracker, float]] = {}
        self._alive_at = float("-inf")
        self._failing = False

    async def write(self) -> None:
        """Once: what changed, and now and then that this process lives."""
        try:
            await self._say_alive()
            await self._write()
        except StoreUnavailable as error:
            if not self._failing:
                log.warning("the progress of streams is not written: %s", error)
            self._failing = True
        else:
            self._failing = False

    async def close(self) -> None:
        """Nothing of this process is counted any more; without the store it is, for a while."""
        if self._alive_at == float("-inf"):
            return
        try:
            await self._store.remove_process(self._process_id)
        except StoreUnavailable as error:
            log.warning("the progress of this process is left to expire: %s", error)

    async def _say_alive(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._alive_at >= ALIVE_SECONDS:
            await self._store.report_process(self._process_id)
            self._alive_at = now

    async def _write(self) -> None:
        now = asyncio.get_running_loop().time()
        loaded = {each.environment_id: each.progress for each in self._environments.loaded()}
        due = {
            key: progress for key, progress in loaded.items() if self._is_due(key, progress, now)
        }
        gone = [key for key in self._written if key not in loaded]
        if not due and not gone:
            return
        for progress in due.values():
            progress.changed = False
        try:
            taken = [progress.taken(key) for key, progress in due.items()]
            await self._store.write_progress(self._process_id, taken, gone)
        except BaseException:
            for progress in due.values():
                progress.changed = True
            raise
        self._written.update({key: (progress, now) for key, progress in due.items()})
        for key in gone:
            del self._written[key]

    def _is_due(self, environment_id: str, progress: ProgressTracker, now: float) -> bool:
        written, at = self._written.get(environment_id, (None, 0.0))
        if written is None and not len(progress):
            return False  # nobody streams it, and nobody has been told otherwise
        return written is not progress or progress.changed or now - at > RENEW_SECONDS
