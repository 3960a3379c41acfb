"""Who calls: SDK keys, found by their hash and remembered for a short while."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from services.evaluation.shared import SharedReads
from services.runtime.errors import PermissionDenied, StoreUnavailable, Unauthenticated
from services.runtime.secrets import ACCESS_TOKEN, bearer_secret, hash_secret
from services.storage.model import SdkKey, SdkKeyKind
from services.storage.ports import CredentialStore

log = logging.getLogger(__name__)

FOUND_SECONDS: Final = 10.0
"""How long a key that was revoked may still open something new."""

UNKNOWN_SECONDS: Final = 2.0
"""How long a key that was just made may still be refused after an earlier try."""

STALE_SECONDS: Final = 600.0
"""How long a known key stays good while the store is away."""

CACHE_SIZE: Final = 10_000

Metadata = Iterable[tuple[str, str | bytes]] | None


@dataclass(frozen=True, slots=True)
class _Known:
    key: SdkKey | None
    at: float

    def fresh(self, now: float) -> bool:
        return now - self.at < (FOUND_SECONDS if self.key else UNKNOWN_SECONDS)


class SdkKeys:
    """Finds the SDK key of a call; concurrent calls with one key share the look-up."""

    def __init__(self, credentials: CredentialStore) -> None:
        self._credentials = credentials
        self._known: dict[str, _Known] = {}
        self._look_ups = SharedReads(self._read)

    async def server_key(self, metadata: Metadata) -> SdkKey:
        """A server key; raises `PermissionDenied` for a client key, `Unauthenticated`."""
        key = await self.any_key(metadata)
        if key.kind is not SdkKeyKind.SERVER:
            raise PermissionDenied("a client SDK key does not open this; use a server SDK key")
        return key

    async def any_key(self, metadata: Metadata) -> SdkKey:
        """A key of either kind; raises `Unauthenticated` for an unknown or revoked one."""
        secret = bearer_secret(metadata)
        if secret.startswith(f"{ACCESS_TOKEN}_"):
            raise PermissionDenied("this is an access token of the management API, not an SDK key")
        key = await self._find(hash_secret(secret))
        if key is None:
            raise Unauthenticated("the SDK key is unknown")
        if key.revoked_at is not None:
            raise Unauthenticated(f"the SDK key …{key.last_characters} is revoked")
        return key

    async def close(self) -> None:
        """Cancels look-ups under way."""
        await self._look_ups.close()

    async def _find(self, secret_hash: str) -> SdkKey | None:
        now = asyncio.get_running_loop().time()
        known = self._known.get(secret_hash)
        if known is not None and known.fresh(now):
            return known.key
        try:
            return await self._look_ups.get(secret_hash)
        except StoreUnavailable:
            if known is not None and known.key is not None and now - known.at < STALE_SECONDS:
                return known.key
            raise

    async def _read(self, secret_hash: str) -> SdkKey | None:
        key = await self._credentials.find_sdk_key(secret_hash)
        self._known.pop(secret_hash, None)
        while len(self._known) >= CACHE_SIZE:
            del self._known[next(iter(self._known))]  # the one that was looked up first
        self._known[secret_hash] = _Known(key, asyncio.get_running_loop().time())
        return key
