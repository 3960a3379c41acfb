"""Who calls: SDK keys, found by their hash and remembered for a short while."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from services.runtime.errors import NotFound, PermissionDenied, StoreUnavailable, Unauthenticated
from services.runtime.secrets import ACCESS_TOKEN, bearer_secret, hash_secret
from services.runtime.single_flight import SingleFlight
from services.storage.model.credentials import SdkKey, SdkKeyKind
from services.storage.model.resource import Stored
from services.storage.ports.credentials import CredentialStore

log = logging.getLogger(__name__)

FOUND_SECONDS: Final = 10.0
"""How long a known key is taken as good without a look at it; `Revocations` looks more often."""

REFUSED_SECONDS: Final = 2.0
"""How long a key that was refused, perhaps just before it was made, is refused unlooked."""

STALE_SECONDS: Final = 600.0
"""How long a known key stays good while the store is away, and is looked at without a use."""

CACHE_SIZE: Final = 10_000
"""Keys that are good, and as many again that are not."""

Metadata = Iterable[tuple[str, str | bytes]] | None


@contextmanager
def environment_of_key() -> Iterator[None]:
    """For reads of a key's own environment: if that was deleted, the key opens nothing."""
    try:
        yield
    except NotFound:
        raise Unauthenticated("the environment of the SDK key was deleted") from None


@dataclass(frozen=True, slots=True)
class _Refused:
    """A key that opens nothing: revoked, or None for one that does not exist."""

    key: Stored[SdkKey] | None
    seen: float


@dataclass(slots=True)
class _Good:
    """``seen`` is when the store last said so, ``used`` when a call last came with it."""

    key: Stored[SdkKey]
    seen: float
    used: float


class SdkKeys:
    """Finds the SDK key of a call; concurrent calls with one key share the look-up.

    Keys that open nothing are remembered apart: however many are tried, they push no good
    one out.
    """

    def __init__(self, credentials: CredentialStore) -> None:
        self._credentials = credentials
        self._good: dict[str, _Good] = {}
        self._refused: dict[str, _Refused] = {}
        self._look_ups = SingleFlight(self._read)

    async def server_key(self, metadata: Metadata) -> Stored[SdkKey]:
        """A server key; raises `PermissionDenied` for a client key, `Unauthenticated`."""
        key = await self.any_key(metadata)
        if key.content.kind is not SdkKeyKind.SERVER:
            raise PermissionDenied("a client SDK key does not open this; use a server SDK key")
        return key

    async def any_key(self, metadata: Metadata) -> Stored[SdkKey]:
        """A key of either kind; raises `Unauthenticated` for an unknown or revoked one."""
        secret = bearer_secret(metadata)
        if secret.startswith(f"{ACCESS_TOKEN}_"):
            raise PermissionDenied("this is an access token of the management API, not an SDK key")
        key = await self._find(hash_secret(secret))
        if key is None:
            raise Unauthenticated("the SDK key is unknown")
        if key.content.revoked_at is not None:
            raise Unauthenticated(f"the SDK key …{key.content.last_characters} is revoked")
        return key

    def remembered(self) -> frozenset[str]:
        """Ids of the good keys that calls came with of late; older ones are forgotten."""
        now = asyncio.get_running_loop().time()
        old = [each for each, good in self._good.items() if now - good.used > STALE_SECONDS]
        for secret_hash in old:
            del self._good[secret_hash]
        return frozenset(good.key.meta.id for good in self._good.values())

    def confirm(self, asked: Collection[str], good: Collection[str], at: float) -> None:
        """Of the key ids ``asked``, the store said at loop time ``at`` which are ``good``.

        The others are forgotten: the next call with one asks the store what became of it.
        """
        for secret_hash, known in tuple(self._good.items()):
            if known.key.meta.id in good:
                known.seen = max(known.seen, at)
            elif known.key.meta.id in asked:
                del self._good[secret_hash]

    async def close(self) -> None:
        """Cancels look-ups under way."""
        await self._look_ups.close()

    async def _find(self, secret_hash: str) -> Stored[SdkKey] | None:
        now = asyncio.get_running_loop().time()
        refused = self._refused.get(secret_hash)
        if refused is not None and now - refused.seen < REFUSED_SECONDS:
            return refused.key
        known = self._good.get(secret_hash)
        if known is not None:
            known.used = now
            if now - known.seen < FOUND_SECONDS:
                return known.key
        try:
            return await self._look_ups.get(secret_hash)
        except StoreUnavailable:
            if known is not None and now - known.seen < STALE_SECONDS:
                return known.key
            raise

    async def _read(self, secret_hash: str) -> Stored[SdkKey] | None:
        asked = asyncio.get_running_loop().time()
        key = await self._credentials.find_sdk_key(secret_hash)
        self._good.pop(secret_hash, None)
        self._refused.pop(secret_hash, None)
        if key is None or key.content.revoked_at is not None:
            _make_room(self._refused)
            self._refused[secret_hash] = _Refused(key, asked)
        else:
            _make_room(self._good)
            self._good[secret_hash] = _Good(key, asked, asked)
        return key


def _make_room(cache: dict[str, _Good] | dict[str, _Refused]) -> None:
    while len(cache) >= CACHE_SIZE:
        del cache[next(iter(cache))]  # the one that was looked up first
