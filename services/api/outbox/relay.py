"""Announces committed changes: from the outbox to the bus, at least once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from featmesh.messaging.v1.messaging_pb2 import ChangeNotice
from services.api.outbox.notices import plain_notice
from services.messaging.ports import Bus, Message, Topic
from services.runtime.backoff import full_jitter, wait_at_most
from services.runtime.errors import ResourceExhausted, Unavailable
from services.storage.model.changes import OutboxEntry
from services.storage.ports.outbox import OutboxStore

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
"""How often to look for entries of other replicas, or from before a crash."""

BATCH: Final = 500
"""Entries that are read at once."""

RETRY_LOW: Final = 0.1
RETRY_HIGH: Final = 2.0
"""Bounds of the waits while the bus or the store is away, in seconds."""

DRAIN_SECONDS: Final = 5.0

SETTLE_SECONDS: Final = 0.05
"""Entries are deleted when nothing was committed for so long: replicas read the store just then."""

ANNOUNCED_SECONDS: Final = 0.02
"""How long the operator who made a change is kept waiting at most for its announcement."""


@dataclass(slots=True)
class _PendingNotice:
    """What is new of an environment; ``told`` is set when the bus has it, or refused it."""

    notice: ChangeNotice
    told: asyncio.Event


class Relay:
    """Publishes outbox entries, then deletes them. Several replicas may do so at once.

    A change that is announced twice does no harm; an entry stays until its announcement
    is confirmed, whatever happens to this process.
    """

    def __init__(self, outbox: OutboxStore, bus: Bus, *, batch: int = BATCH) -> None:
        self._outbox = outbox
        self._bus = bus
        self._batch = batch
        self._committed = asyncio.Event()
        self._fresh: dict[str, _PendingNotice] = {}
        self._announced: dict[str, int] = {}

    async def announce(self, notice: ChangeNotice) -> None:
        """There is something to announce now; it is in the outbox too.

        Returns when the bus has it, or after `ANNOUNCED_SECONDS`: what is done for SDKs comes
        before what is done for the answer to the operator, who need not wait for the bus.
        """
        news = self._fresh.setdefault(
            notice.environment_id, _PendingNotice(notice, asyncio.Event())
        )
        if news.notice is not notice:
            # Two changes in one notice: what they wrote is read from the store.
            revision = max(news.notice.revision, notice.revision)
            news.notice = plain_notice(notice.environment_id, revision)
        self._committed.set()
        await wait_at_most(ANNOUNCED_SECONDS, news.told)

    async def run(self) -> None:
        """Announces until it is cancelled."""
        waits = full_jitter(RETRY_LOW, RETRY_HIGH)
        failed = False
        while True:
            self._committed.clear()
            try:
                await self._announce_fresh()
                announced = await self._announce_batch()
            except (Unavailable, ResourceExhausted) as error:
                if not failed:
                    log.warning("changes wait in the outbox: %s", error.message)
                failed = True
                await asyncio.sleep(next(waits))
                continue
            if failed:
                log.info("changes are announced again")
                failed = False
                waits = full_jitter(RETRY_LOW, RETRY_HIGH)
            if announced < self._batch:
                await wait_at_most(POLL_SECONDS, self._committed)

    async def drain(self) -> None:
        """After `run` was cancelled: announces what is left, if it can, within bounds."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._publish_fresh()
                while await self._announce_batch():
                    pass
        except (Unavailable, ResourceExhausted, TimeoutError) as error:
            why = f"not done in {DRAIN_SECONDS:g} s" if isinstance(error, TimeoutError) else error
            log.warning("changes stay in the outbox for another process: %s", why)

    async def _announce_fresh(self) -> None:
        """What this process has just committed, and commits meanwhile: SDKs wait for it.

        Not for longer than the outbox may be left alone.
        """
        end = asyncio.get_running_loop().time() + POLL_SECONDS
        while self._fresh and asyncio.get_running_loop().time() < end:
            await self._publish_fresh()
            self._committed.clear()
            await wait_at_most(SETTLE_SECONDS, self._committed)

    async def _publish_fresh(self) -> None:
        while self._fresh:
            environment_id, news = self._fresh.popitem()
            try:
                await self._bus.publish(Topic.CHANGES, _message(news.notice))
            finally:
                news.told.set()
            self._announced[environment_id] = news.notice.revision

    async def _announce_batch(self) -> int:
        """How many entries were dealt with; those that were announced are only deleted."""
        announced, self._announced = self._announced, {}
        entries = await self._outbox.list_outbox(self._batch)
        confirmed: list[str] = []
        try:
            for environment_id, group in _by_environment(entries).items():
                # Oldest first: the last one has the highest revision and speaks for all.
                revision = group[-1].revision
                if revision > announced.get(environment_id, 0):
                    message = _message(plain_notice(environment_id, revision))
                    await self._bus.publish(Topic.CHANGES, message)
                confirmed += [entry.id for entry in group]
        finally:
            if confirmed:
                await self._outbox.delete_outbox(confirmed)
        return len(entries)


def _by_environment(entries: Sequence[OutboxEntry]) -> dict[str, list[OutboxEntry]]:
    groups: dict[str, list[OutboxEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.environment_id, []).append(entry)
    return groups


def _message(notice: ChangeNotice) -> Message:
    message_id = f"{notice.environment_id}/{notice.revision}"  # the same, whoever announces it
    return Message(message_id, notice.environment_id, notice.SerializeToString())
