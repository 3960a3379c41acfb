"""Who calls: management tokens, found by their hash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

import grpc
from grpc import aio

from services.runtime.errors import PermissionDenied, StoreUnavailable, Unauthenticated
from services.runtime.interceptor import Context, Continuation, Handler, guarded
from services.runtime.secrets import (
    ACCESS_TOKEN,
    CLIENT_KEY,
    SERVER_KEY,
    bearer_secret,
    hash_secret,
)
from services.storage.model.actor import Actor, ActorKind
from services.storage.model.credentials import AccessToken
from services.storage.model.resource import Stored
from services.storage.ports.credentials import CredentialStore

PROTECTED: Final = "/featmesh.management."
"""Methods of these packages need a token; health and reflection do not."""

CACHE_SECONDS: Final = 5.0
"""How long a token that was revoked may still work."""

CACHE_SIZE: Final = 1_024

_SDK_KEYS: Final = {SERVER_KEY: "a server", CLIENT_KEY: "a client"}

_actor: ContextVar[Actor] = ContextVar("actor")


def current_actor() -> Actor:
    """The token that the call under way was made with."""
    return _actor.get()


class Tokens:
    """Finds tokens; remembers good ones for a short while."""

    def __init__(self, credentials: CredentialStore) -> None:
        self._credentials = credentials
        self._known: dict[str, tuple[float, Stored[AccessToken]]] = {}

    async def find(self, secret: str) -> Stored[AccessToken]:
        """Raises `Unauthenticated` for an unknown or revoked one, `PermissionDenied` for a key."""
        prefix = secret.partition("_")[0]
        if prefix in _SDK_KEYS:
            raise PermissionDenied(
                f"this is {_SDK_KEYS[prefix]} SDK key; management needs an access token"
                f" ({ACCESS_TOKEN}_…)"
            )
        secret_hash = hash_secret(secret)
        now = asyncio.get_running_loop().time()
        expires, known = self._known.get(secret_hash, (0.0, None))
        if known is not None and now < expires:
            return known
        return await self._look_up(secret_hash, now)

    async def _look_up(self, secret_hash: str, now: float) -> Stored[AccessToken]:
        self._known.pop(secret_hash, None)
        token = await self._credentials.find_access_token(secret_hash)
        if token is None:
            raise Unauthenticated("the access token is unknown")
        if token.content.revoked_at is not None:
            raise Unauthenticated(f"the access token '{token.content.display_name}' is revoked")
        if len(self._known) >= CACHE_SIZE:
            del self._known[next(iter(self._known))]  # the one that was looked up first
        self._known[secret_hash] = (now + CACHE_SECONDS, token)
        return token


class Authentication(aio.ServerInterceptor):
    """Lets management calls pass with a good token, once ``ready`` says so.

    Before the store has been migrated nothing may be written to it.
    """

    def __init__(self, credentials: CredentialStore, ready: Callable[[], bool]) -> None:
        self._tokens = Tokens(credentials)
        self._ready = ready

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Guards the protected methods."""
        handler: Any = await continuation(details)
        if handler is None or not details.method.startswith(PROTECTED):
            return handler
        return guarded(handler, self._guard)

    async def _guard(self, context: Context) -> None:
        secret = bearer_secret(context.invocation_metadata())
        if not self._ready():
            raise StoreUnavailable("the service is starting; its store has not been reached yet")
        token = await self._tokens.find(secret)
        _actor.set(Actor(ActorKind.TOKEN, token.meta.id, token.content.display_name))
