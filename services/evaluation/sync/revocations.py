"""Ends open streams whose SDK key has been revoked, or is gone with its environment."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from featmesh.sync.v1 import sync_pb2
from services.evaluation.auth.sdk_keys import SdkKeys
from services.evaluation.broadcast.broadcaster import end_in_turns
from services.evaluation.broadcast.frames import goodbye_frame
from services.evaluation.replica.replica import ENVIRONMENT_DELETED, REFUSED_HINT_MS
from services.evaluation.sync.stream import Stream
from services.runtime.backoff import wait_at_most
from services.runtime.errors import StoreUnavailable
from services.storage.model.credentials import SdkKey
from services.storage.model.resource import Stored
from services.storage.ports.store import EvaluationStore

LOOK_SECONDS: Final = 2.0
"""A stream outlives its key by this and one read, even when nobody tells that it was revoked."""

KEYS_AT_ONCE: Final = 2_000
"""Keys that one read asks for."""

KEY_REVOKED: Final = goodbye_frame(
    sync_pb2.GOODBYE_REASON_KEY_REVOKED, REFUSED_HINT_MS, REFUSED_HINT_MS
)


class Revocations:
    """Looks at all keys that have streams, or were used of late, with one read."""

    def __init__(self, keys: SdkKeys, store: EvaluationStore) -> None:
        self._keys = keys
        self._store = store
        self._watched: dict[str, Stored[SdkKey]] = {}
        self._streams: dict[str, set[Stream]] = {}
        self._told = asyncio.Event()

    @contextmanager
    def watched(self, key: Stored[SdkKey], stream: Stream) -> Iterator[None]:
        """While the block runs, ``stream`` is ended when ``key`` no longer opens it."""
        self._watched[key.meta.id] = key
        streams = self._streams.setdefault(key.meta.id, set())
        streams.add(stream)
        try:
            yield
        finally:
            streams.discard(stream)
            if not streams:
                del self._streams[key.meta.id], self._watched[key.meta.id]

    def note(self) -> None:
        """Some key was revoked."""
        self._told.set()

    async def look_in_time(self) -> None:
        """Once, when a key was revoked, or after `LOOK_SECONDS`."""
        await wait_at_most(LOOK_SECONDS, self._told)
        self._told.clear()
        await self.look()

    async def look(self) -> None:
        """Once; while the store is away every key stays good."""
        asked = self._keys.remembered() | self._watched.keys()
        at = asyncio.get_running_loop().time()
        try:
            good = await self._good(tuple(asked))
            self._keys.confirm(asked, good, at)
            await self._end([self._watched[each] for each in asked - good if each in self._watched])
        except StoreUnavailable:  # the poll tells of it
            return

    async def _good(self, key_ids: tuple[str, ...]) -> frozenset[str]:
        good: set[str] = set()
        for start in range(0, len(key_ids), KEYS_AT_ONCE):
            chunk = key_ids[start : start + KEYS_AT_ONCE]
            good |= await self._store.credentials.good_sdk_keys(chunk)
        return frozenset(good)

    async def _end(self, keys: Collection[Stored[SdkKey]]) -> None:
        if not keys:
            return
        environments = {key.meta.scope_id for key in keys}
        present = await self._store.definitions.read_heads(environments)
        for key in keys:
            goodbye = KEY_REVOKED if key.meta.scope_id in present else ENVIRONMENT_DELETED
            await end_in_turns(self._streams.get(key.meta.id, ()), goodbye)
