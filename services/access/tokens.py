"""Access tokens, found by their hash and remembered for a short while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from services.access.principal import Grant, Principal
from services.access.roles import Role
from services.runtime.errors import PermissionDenied, StoreUnavailable, Unauthenticated
from services.runtime.secrets import ACCESS_TOKEN, CLIENT_KEY, SERVER_KEY, hash_secret
from services.storage.model.actor import Actor, ActorKind
from services.storage.model.credentials import AccessToken, RoleGrant
from services.storage.model.resource import Stored
from services.storage.ports.credentials import CredentialStore

log = logging.getLogger(__name__)

CACHE_SECONDS: Final = 5.0
"""Seconds for which a token that was revoked may still work."""

CACHE_SIZE: Final = 1_024
"""Number of tokens that are remembered."""

USE_RECORDED: Final = timedelta(minutes=1)
"""Time within which a token's uses are recorded as one."""

_SDK_KEYS: Final = {SERVER_KEY: "a server", CLIENT_KEY: "a client"}

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Returns the system's time in UTC."""
    return datetime.now(UTC)


class Tokens:
    """Finds the principal of a secret.

    ``clock`` says when a token has expired, ``seconds`` how long one is remembered.
    """

    def __init__(
        self,
        credentials: CredentialStore,
        clock: Clock = utc_now,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._seconds = seconds
        self._known: dict[str, tuple[float, Stored[AccessToken]]] = {}
        self._recorded: dict[str, datetime] = {}

    async def find(self, secret: str) -> Principal:
        """Returns who calls with ``secret``.

        Raises `Unauthenticated` for an unknown, revoked or expired token,
        `PermissionDenied` for an SDK key.
        """
        prefix = secret.partition("_")[0]
        if prefix in _SDK_KEYS:
            raise PermissionDenied(
                f"this is {_SDK_KEYS[prefix]} SDK key; management needs an access token"
                f" ({ACCESS_TOKEN}_…)"
            )
        token = await self._find(hash_secret(secret))
        now = self._clock()
        expires_at = token.content.expires_at
        if expires_at is not None and expires_at <= now:
            raise Unauthenticated("the access token has expired")
        await self._record_use(token, now)
        return principal_of(token)

    async def _find(self, secret_hash: str) -> Stored[AccessToken]:
        now = self._seconds()
        until, known = self._known.get(secret_hash, (0.0, None))
        if known is not None and now < until:
            return known
        self._known.pop(secret_hash, None)
        token = await self._credentials.find_access_token(secret_hash)
        if token is None:
            raise Unauthenticated("the access token is unknown")
        if token.content.revoked_at is not None:
            raise Unauthenticated("the access token is revoked")
        _make_room(self._known)
        self._known[secret_hash] = (now + CACHE_SECONDS, token)
        return token

    async def _record_use(self, token: Stored[AccessToken], now: datetime) -> None:
        """Records a use at most once a minute; a store that is away fails no call by this."""
        recorded = self._recorded.get(token.meta.id) or token.content.last_used_at
        if recorded is not None and now - recorded < USE_RECORDED:
            return
        _make_room(self._recorded)
        self._recorded[token.meta.id] = now
        try:
            await self._credentials.record_token_use(token.meta.id, now)
        except StoreUnavailable as error:
            log.warning("a token's use is not recorded: %s", error.message)


def principal_of(token: Stored[AccessToken]) -> Principal:
    """Returns the principal that a token stands for."""
    actor = Actor(ActorKind.TOKEN, token.meta.id, token.content.display_name)
    return Principal(actor, tuple(map(_grant_of, token.content.grants)), token.content.expires_at)


def _grant_of(grant: RoleGrant) -> Grant:
    return Grant(Role(grant.role), grant.level, grant.scope_id)


def _make_room(
    cache: dict[str, object] | dict[str, tuple[float, Stored[AccessToken]]] | dict[str, datetime],
) -> None:
    while len(cache) >= CACHE_SIZE:
        del cache[next(iter(cache))]  # the one that was looked up first
