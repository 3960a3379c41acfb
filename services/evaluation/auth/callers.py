"""Who asks for an evaluation: an application with an SDK key, or an operator with a token."""

from __future__ import annotations

from dataclasses import dataclass

from services.evaluation.auth.sdk_keys import Metadata, SdkKeys
from services.runtime.errors import InvalidArgument, Unauthenticated
from services.runtime.secrets import ACCESS_TOKEN, bearer_secret, hash_secret
from services.storage.model.credentials import SdkKeyKind
from services.storage.ports.credentials import CredentialStore


@dataclass(frozen=True, slots=True)
class Caller:
    """What a call may see. An operator's question about a user is no visit of that user."""

    environment_id: str
    sees_rules: bool
    is_application: bool


class Callers:
    """Finds the caller of an `Evaluate` call."""

    def __init__(self, keys: SdkKeys, credentials: CredentialStore) -> None:
        self._keys = keys
        self._credentials = credentials

    async def find(self, metadata: Metadata, environment_id: str) -> Caller:
        """Raises `Unauthenticated`, or `InvalidArgument` for the wrong environment.

        ``environment_id`` is what the request names; an SDK key may leave it empty.
        """
        secret = bearer_secret(metadata)
        if secret.startswith(f"{ACCESS_TOKEN}_"):
            return await self._operator(secret, environment_id)
        key = await self._keys.any_key(metadata)
        if environment_id not in {"", key.meta.scope_id}:
            raise InvalidArgument.of("environment_id", "is not the environment of the SDK key")
        return Caller(key.meta.scope_id, key.content.kind is SdkKeyKind.SERVER, is_application=True)

    async def _operator(self, secret: str, environment_id: str) -> Caller:
        token = await self._credentials.find_access_token(hash_secret(secret))
        if token is None or token.content.revoked_at is not None:
            raise Unauthenticated("the access token is unknown or revoked")
        if not environment_id:
            raise InvalidArgument.of("environment_id", "is required with a management token")
        return Caller(environment_id, sees_rules=True, is_application=False)
