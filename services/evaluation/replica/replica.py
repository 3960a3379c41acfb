"""Copies of environments in memory: loaded on first use, kept current, dropped when idle."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from featmesh.messaging.v1.messaging_pb2 import ChangeNotice
from featmesh.sync.v1 import sync_pb2
from featmesh.sync.v1.sync_pb2 import ResumeToken
from services.evaluation.broadcast.broadcaster import Broadcaster, end_in_turns
from services.evaluation.broadcast.frames import goodbye_frame
from services.evaluation.broadcast.writes import WriteWatchdog
from services.evaluation.counts import Counts
from services.evaluation.progress.tracker import ProgressTracker
from services.evaluation.replica.notices import changes_in
from services.evaluation.replica.revisions import KnownRevisions
from services.evaluation.replica.view import View
from services.messaging.ports import ChangeWatch
from services.runtime.errors import StoreUnavailable
from services.runtime.single_flight import SingleFlight
from services.storage.model.definitions import EnvironmentHead
from services.storage.ports.definitions import DefinitionStore

log = logging.getLogger(__name__)

REFUSED_HINT_MS: Final = 60_000
"""Streams whose key opens nothing any more come back after once to twice so long."""

ENVIRONMENT_DELETED: Final = goodbye_frame(
    sync_pb2.GOODBYE_REASON_ENVIRONMENT_DELETED, REFUSED_HINT_MS, REFUSED_HINT_MS
)

RESYNC: Final = goodbye_frame(sync_pb2.GOODBYE_REASON_RESYNC, reconnect_after_ms=0, jitter_ms=5_000)
"""Streams that may have been sent what the store does not say come back to be told."""

_MISLED: Final = "a notice up to revision %d told what the store does not say"

_LOOKS: Final = 2
"""How often the store is asked about a reader that seems to know more."""

REPORTED_FAULTS: Final = 1_000
"""Sentences about definitions that are remembered as reported."""


class Replica:
    """One environment. One writer at a time swaps its view; readers take `view` as it is.

    What a notice tells is served at once. The store has the last word: it is asked afterwards,
    with the next poll, and if it says something else, that is what counts. Where the store takes
    back what it has said, or what a notice said, the environment gets another epoch, and every
    stream comes back.
    """

    def __init__(
        self,
        definitions: DefinitionStore,
        view: View,
        environment_id: str,
        *,
        watchdog: WriteWatchdog | None = None,
        counts: Counts | None = None,
    ) -> None:
        self.environment_id = environment_id
        self.broadcaster = Broadcaster(watchdog or WriteWatchdog())
        self.progress = ProgressTracker()
        self.counts = counts or Counts()
        self.last_used = asyncio.get_running_loop().time()
        self._definitions = definitions
        self.newest = 0
        """Revision that the store was last said to be at; ahead of `view` until it is read."""
        self._writer = asyncio.Lock()
        self._revisions = KnownRevisions(definitions, environment_id)
        self._looks = SingleFlight(self._look)
        self._reported: dict[str, None] = {}
        self._swap(view)
        self._verified = view
        """The last one that the store has said; ahead of it `view` is what notices told."""

    @classmethod
    async def load(
        cls,
        definitions: DefinitionStore,
        environment_id: str,
        *,
        watchdog: WriteWatchdog | None = None,
        counts: Counts | None = None,
    ) -> Replica:
        """One snapshot read; raises `NotFound` for an unknown environment."""
        view = View.of(await definitions.read_definitions(environment_id))
        return cls(definitions, view, environment_id, watchdog=watchdog, counts=counts)

    @property
    def is_verified(self) -> bool:
        """Whether the store itself has said all of the view."""
        return self._verified is self.view

    async def advance(self, notice: ChangeNotice) -> None:
        """Takes what the notice tells, or reads what is new, unless its revision is here."""
        async with self._writer:
            if notice.revision <= self.view.revision:
                return
            told = changes_in(notice, self.view.revision)
            if told is None:
                await self._read(notice.revision)
            else:
                self._take(self.view.after(told))

    def is_at(self, head: EnvironmentHead) -> bool:
        """Whether the store itself has said all of the view, and says nothing else now."""
        view = self.view
        return head == EnvironmentHead(view.revision, view.epoch) and self.is_verified

    async def refresh(self, head: EnvironmentHead) -> None:
        """Reads what is new, unless the store has said all up to ``head``; wakes the streams."""
        async with self._writer:
            if head.epoch != self.view.epoch:
                await self._reload()
            elif not self.is_at(head):
                await self._read(head.revision)

    async def reach(self, revision: int) -> None:
        """Reads what is new if ``revision`` is ahead: it was announced during the load."""
        async with self._writer:
            if revision > self.view.revision:
                await self._read(revision)

    async def continues(self, held: ResumeToken) -> bool:
        """Whether what a reader holds is of the view's history; asks the store if need be.

        Nothing that a reader says changes what is served to others. Raises `StoreUnavailable`
        for one that is ahead.
        """
        if not held.epoch or held.revision <= 0:
            return False
        for _ in range(_LOOKS):  # the first one may have begun too early
            if held.epoch == self.view.epoch and held.revision <= self.view.revision:
                return await self._revisions.has(held.revision)
            try:
                await self._looks.get(self.environment_id)
            except StoreUnavailable:
                if held.epoch == self.view.epoch:
                    raise  # nobody is taken back to before what he holds
        return False

    async def close(self) -> None:
        """Cancels reads under way."""
        await self._looks.close()
        await self._revisions.close()

    async def _look(self, environment_id: str) -> None:
        """A reader comes from another replica, which may know more."""
        heads = await self._definitions.read_heads((environment_id,))
        if environment_id in heads:  # else the poll finds out
            await self.refresh(heads[environment_id])

    async def _read(self, revision: int) -> None:
        """The store was said to be at ``revision``; where an answer is older, nothing changes."""
        confirmed, view = self._verified, self.view
        changes = await self._definitions.read_changes(self.environment_id, confirmed.revision)
        if changes.revision < view.revision <= revision:
            return  # of a member of the replica set that lags behind
        if changes.revision < confirmed.revision or not changes.follows:
            await self._renew_epoch("the store went back: it does not know revision %d")
            return
        if changes.revision < view.revision:
            await self._renew_epoch(_MISLED)
            return
        if changes.floor > confirmed.revision:  # it has forgotten tombstones
            everything = await self._definitions.read_definitions(self.environment_id)
            self._verified = after = view.replaced_by(everything)
            self._take(after)
            return
        after = view
        if changes.revision > view.revision:
            after = view.after(changes.above(view.revision))
        if confirmed is not view and confirmed.after(changes).digest != after.digest:
            await self._renew_epoch(_MISLED)
            return
        self._verified = after
        if after is not view:
            self._take(after)

    async def _renew_epoch(self, reason: str) -> None:
        """Nobody goes on from what this replica has said, here or elsewhere."""
        log.error(f"environment %s: {reason}", self.environment_id, self.view.revision)
        await self._definitions.renew_epoch(self.environment_id, self.view.epoch)
        await self._reload()

    async def _reload(self) -> None:
        """The epoch is another one: everything is read anew, and every stream comes back."""
        everything = await self._definitions.read_definitions(self.environment_id)
        if everything.epoch == self.view.epoch:
            return  # of a member of the replica set that lags behind; the next poll asks again
        log.warning("environment %s: has a new epoch, its streams end", self.environment_id)
        self._revisions.forget()
        self._verified = view = self.view.replaced_by(everything)
        self._swap(view)
        await end_in_turns(self.broadcaster.streams(), RESYNC)

    def _take(self, view: View) -> None:
        self._swap(view)
        self.counts.snapshots += 1
        self.counts.snapshot_seconds += max(0.0, time.time() - self.view.revision / 1_000)
        self.broadcaster.announce()

    def _swap(self, view: View) -> None:
        self.view: View = view
        """The current one; a reader keeps it as long as it likes."""
        self._revisions.add(view.revision)
        self.progress.track(view.revision)
        for fault in view.snapshot.faults:
            if fault not in self._reported and len(self._reported) < REPORTED_FAULTS:
                self._reported[fault] = None
                log.warning("environment %s: %s", self.environment_id, fault)


class Replicas:
    """The environments that this process serves; its watches are bound to them."""

    def __init__(self, definitions: DefinitionStore) -> None:
        self.counts = Counts()
        self.watchdog = WriteWatchdog()
        self._definitions = definitions
        self._watches: tuple[ChangeWatch, ...] = ()
        self._loaded: dict[str, Replica] = {}
        self._unused: set[str] = set()
        self._early: dict[str, int] = {}
        """What was announced of environments while they are being loaded."""
        self._loads = SingleFlight(self._load)

    async def follow(self, *watches: ChangeWatch) -> None:
        """From now on environments are bound to these, those already loaded as well."""
        self._watches = watches
        for environment_id in tuple(self._loaded):
            await self._on_watches(lambda watch: watch.bind(environment_id))  # noqa: B023

    def loaded(self) -> tuple[Replica, ...]:
        """All that are in memory."""
        return tuple(self._loaded.values())

    def held(self, environment_id: str) -> Replica | None:
        """The replica, if it is in memory."""
        return self._loaded.get(environment_id)

    def announced(self, environment_id: str, revision: int) -> Replica | None:
        """Someone told of a revision: the replica, unless it is not here or not behind.

        One that is being loaded reads once more afterwards, if its read was too early.
        """
        if self._loads.under_way(environment_id):
            known = self._early.get(environment_id, 0)
            self._early[environment_id] = max(known, revision)
        replica = self._loaded.get(environment_id)
        if replica is None:
            return None
        replica.newest = max(replica.newest, revision)
        return replica if revision > replica.view.revision else None

    async def get(self, environment_id: str) -> Replica:
        """The replica, loaded if need be; concurrent first uses share the load."""
        while (replica := self._loaded.get(environment_id)) is None:
            await self._loads.get(environment_id)
        replica.last_used = asyncio.get_running_loop().time()
        return replica

    async def end(self, replica: Replica) -> None:
        """The environment was deleted: its streams end, and it is forgotten."""
        if self._loaded.get(replica.environment_id) is replica:
            log.info("environment %s: deleted, its streams end", replica.environment_id)
            self._forget(replica)
        await replica.broadcaster.close(ENVIRONMENT_DELETED)

    async def evict_idle(self, idle: float) -> None:
        """Forgets environments without streams that nobody used for ``idle`` seconds.

        Undoes the bindings of all that are forgotten; a broker that hangs delays only this.
        """
        now = asyncio.get_running_loop().time()
        for replica in self.loaded():
            if not len(replica.broadcaster) and now - replica.last_used > idle:
                log.info("environment %s: idle, dropped", replica.environment_id)
                self._forget(replica)
        for environment_id in tuple(self._unused):
            if self._loads.under_way(environment_id):
                continue  # it is bound once more, or fails and stays here
            self._unused.discard(environment_id)
            if environment_id not in self._loaded:
                await self._on_watches(lambda watch: watch.unbind(environment_id))  # noqa: B023

    async def close(self) -> None:
        """Cancels loads and sends under way."""
        await self._loads.close()
        for replica in self.loaded():
            await replica.close()
        await self.watchdog.close()

    def _forget(self, replica: Replica) -> None:
        del self._loaded[replica.environment_id]
        self._unused.add(replica.environment_id)

    async def _load(self, environment_id: str) -> Replica:
        # Bound before it is read, so that no change falls between the two.
        watches = self._watches
        try:
            await self._on_watches(lambda watch: watch.bind(environment_id))
            replica = await Replica.load(
                self._definitions, environment_id, watchdog=self.watchdog, counts=self.counts
            )
            self._loaded[environment_id] = replica
            if watches is not self._watches:  # they came meanwhile, too early to know of this one
                await self._on_watches(lambda watch: watch.bind(environment_id))
            await self._catch_up(replica)
        except BaseException:
            self._unused.add(environment_id)
            raise
        finally:
            self._early.pop(environment_id, None)
        log.info("environment %s: loaded at revision %d", environment_id, replica.view.revision)
        return replica

    async def _catch_up(self, replica: Replica) -> None:
        with suppress(Exception):  # whatever it is, the poll tries again and tells of it
            await replica.reach(self._early.get(replica.environment_id, 0))

    async def _on_watches(self, action: Callable[[ChangeWatch], Awaitable[None]]) -> None:
        await asyncio.gather(*(action(watch) for watch in self._watches))
