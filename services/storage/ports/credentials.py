"""SDK keys and access tokens, found by the SHA-256 of their secret (hex)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from services.storage.model.credentials import AccessToken, SdkKey
from services.storage.model.resource import Stored


class CredentialStore(Protocol):
    """What a secret opens. Keys and tokens are made and revoked by `Resources.commit`.

    Revoked and expired ones are found too; the caller decides.
    """

    async def find_sdk_key(self, secret_hash: str) -> Stored[SdkKey] | None:
        """Its scope is the environment."""
        ...

    async def good_sdk_keys(self, sdk_key_ids: Collection[str]) -> frozenset[str]:
        """Those of the ids that are there and not revoked, in one read.

        Raises `StoreUnavailable` when there is no answer within 2 seconds.
        """
        ...

    async def find_access_token(self, secret_hash: str) -> Stored[AccessToken] | None:
        """Its scope is the organization or the installation."""
        ...

    async def record_token_use(self, token_id: str, time: datetime) -> None:
        """Notes when a token was last used; without audit, version or history."""
        ...
