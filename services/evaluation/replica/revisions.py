"""Which revisions an environment's history has: one that it has not is of another history."""

from __future__ import annotations

import logging
from typing import Final

from services.runtime.errors import StoreUnavailable
from services.runtime.single_flight import SingleFlight
from services.storage.ports.definitions import DefinitionStore

log = logging.getLogger(__name__)

REMEMBERED_REVISIONS: Final = 1_000
"""Revisions of an environment that are known to be of its history, or not to be."""


class KnownRevisions:
    """Of one environment: each is asked for once, and the newest answers are remembered."""

    def __init__(self, definitions: DefinitionStore, environment_id: str) -> None:
        self._definitions = definitions
        self._environment_id = environment_id
        self._known: dict[int, bool] = {}
        self._reads = SingleFlight(self._read)

    def add(self, revision: int) -> None:
        """The environment is at this revision now."""
        self._remember(self._known, revision, True)

    def forget(self) -> None:
        """The store went back: its history is another one."""
        self._known = {}

    async def has(self, revision: int) -> bool:
        """Whether the history has it; False as well while the store is away."""
        known = self._known.get(revision)
        if known is not None:
            return known
        try:
            return await self._reads.get(str(revision))
        except StoreUnavailable as error:
            text = "environment %s: revision %d of a reader cannot be looked up: %s"
            log.info(text, self._environment_id, revision, error)
            return False

    async def close(self) -> None:
        """Cancels reads under way."""
        await self._reads.close()

    async def _read(self, revision: str) -> bool:
        known = self._known  # another one by the time of the answer, if the store went back
        found = await self._definitions.has_revision(self._environment_id, int(revision))
        self._remember(known, int(revision), found)
        return found

    @staticmethod
    def _remember(known: dict[int, bool], revision: int, found: bool) -> None:
        while len(known) >= REMEMBERED_REVISIONS:
            del known[next(iter(known))]
        known[revision] = found
