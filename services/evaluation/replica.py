"""Copies of environments in memory: loaded on first use, kept current, dropped when idle."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from services.evaluation.hub import Hub
from services.evaluation.single_flight import SingleFlight
from services.evaluation.view import View
from services.messaging.ports import ChangeWatch
from services.storage.ports import DefinitionStore

log = logging.getLogger(__name__)

REPORTED_FAULTS: Final = 1_000
"""Sentences about definitions that are remembered as reported."""


class Replica:
    """One environment. `refresh` is its only writer; readers take `view` as it is."""

    def __init__(self, definitions: DefinitionStore, view: View, environment_id: str) -> None:
        self.environment_id = environment_id
        self.hub = Hub()
        self.last_used = asyncio.get_running_loop().time()
        self._definitions = definitions
        self._writer = asyncio.Lock()
        self._reported: dict[str, None] = {}
        self._swap(view)

    @classmethod
    async def load(cls, definitions: DefinitionStore, environment_id: str) -> Replica:
        """One snapshot read; raises `NotFound` for an unknown environment."""
        view = View.of(await definitions.read_definitions(environment_id))
        return cls(definitions, view, environment_id)

    @property
    def view(self) -> View:
        """The current view."""
        return self._view

    async def refresh(self, revision: int) -> None:
        """Reads what is new, unless ``revision`` is here already, and wakes the streams."""
        async with self._writer:
            if revision == self.view.revision:
                return
            changes = await self._definitions.read_changes(self.environment_id, self.view.revision)
            if changes.revision == self.view.revision:
                return
            if changes.revision < self.view.revision or changes.floor > self.view.revision:
                # The store went back (a restored backup), or has forgotten tombstones.
                changes = await self._definitions.read_definitions(self.environment_id)
                self._swap(View.of(changes))
            else:
                self._swap(self.view.after(changes))
            self.hub.announce()

    def _swap(self, view: View) -> None:
        self._view: View = view
        for fault in view.snapshot.faults:
            if fault not in self._reported and len(self._reported) < REPORTED_FAULTS:
                self._reported[fault] = None
                log.warning("environment %s: %s", self.environment_id, fault)


class Replicas:
    """The environments that this process serves. ``watch`` is bound to them."""

    def __init__(self, definitions: DefinitionStore) -> None:
        self._definitions = definitions
        self._watch: ChangeWatch | None = None
        self._loaded: dict[str, Replica] = {}
        self._loading: SingleFlight[Replica] = SingleFlight()

    async def follow(self, watch: ChangeWatch) -> None:
        """From now on environments are bound to this watch, those already loaded as well."""
        self._watch = watch
        for environment_id in tuple(self._loaded):
            await watch.bind(environment_id)

    def loaded(self) -> tuple[Replica, ...]:
        """All that are in memory."""
        return tuple(self._loaded.values())

    def find(self, environment_id: str) -> Replica | None:
        """The replica, if it is in memory."""
        return self._loaded.get(environment_id)

    async def get(self, environment_id: str) -> Replica:
        """The replica, loaded if need be; concurrent first uses share the load."""
        replica = self._loaded.get(environment_id)
        if replica is None:
            replica = await self._loading.run(
                environment_id, lambda: self._load(environment_id)
            )
        replica.last_used = asyncio.get_running_loop().time()
        return replica

    async def drop_idle(self, seconds: float) -> None:
        """Forgets environments that had no stream and no evaluation for so long."""
        now = asyncio.get_running_loop().time()
        for replica in self.loaded():
            if len(replica.hub):
                replica.last_used = now
            elif now - replica.last_used > seconds:
                await self._drop(replica)

    async def close(self) -> None:
        """Cancels loads under way."""
        await self._loading.close()

    async def _drop(self, replica: Replica) -> None:
        del self._loaded[replica.environment_id]
        log.info("environment %s: idle, dropped", replica.environment_id)
        if self._watch is not None:
            await self._watch.unbind(replica.environment_id)

    async def _load(self, environment_id: str) -> Replica:
        # Bound before it is read, so that no change falls between the two.
        watch = self._watch
        if watch is not None:
            await watch.bind(environment_id)
        replica = Replica(environment_id, self._definitions)
        await replica.load()
        self._loaded[environment_id] = replica
        if watch is not self._watch and self._watch is not None:
            await self._watch.bind(environment_id)  # it came meanwhile; `follow` polls after it
        log.info("environment %s: loaded at revision %d", environment_id, replica.view.revision)
        return replica
