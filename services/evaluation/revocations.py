"""Ends open streams whose SDK key has been revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from featmesh.sync.v1 import sync_pb2
from services.evaluation.authentication import Metadata, SdkKeys
from services.evaluation.frames import goodbye_frame
from services.evaluation.stream import Stream
from services.runtime.errors import StoreUnavailable, Unauthenticated
from services.storage.model import SdkKey

LOOK_SECONDS: Final = 10.0
"""A stream outlives its key by this and by how long a key is remembered."""

_GOODBYE: Final = goodbye_frame(sync_pb2.GOODBYE_REASON_KEY_REVOKED, 60_000, 60_000)


class Revocations:
    """Looks at each key that has streams once, however many they are."""

    def __init__(self, keys: SdkKeys) -> None:
        self._keys = keys
        self._metadata: dict[str, Metadata] = {}
        self._streams: dict[str, set[Stream]] = {}

    @contextmanager
    def watched(self, key: SdkKey, metadata: Metadata, stream: Stream) -> Iterator[None]:
        """While the block runs, ``stream`` is ended when ``key`` no longer opens it."""
        self._metadata[key.id] = metadata
        streams = self._streams.setdefault(key.id, set())
        streams.add(stream)
        try:
            yield
        finally:
            streams.discard(stream)
            if not streams:
                del self._streams[key.id], self._metadata[key.id]

    async def look_for_ever(self) -> None:
        """Looks every `LOOK_SECONDS`."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Once; while the store is away every key stays good."""
        for key_id, metadata in tuple(self._metadata.items()):
            try:
                await self._keys.any_key(metadata)
            except Unauthenticated:
                for stream in self._streams.get(key_id, ()):
                    stream.end(_GOODBYE)
            except StoreUnavailable:
                return
