"""Secrets: made once, shown once, stored as SHA-256, sent as ``authorization: Bearer``."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import Final

from services.runtime.errors import Unauthenticated

SERVER_KEY: Final = "fms"
CLIENT_KEY: Final = "fmc"
ACCESS_TOKEN: Final = "fmt"  # noqa: S105 -- a prefix, not a secret

MAX_SECRET_BYTES: Final = 256
"""Anything longer is no secret of ours and is not even hashed."""


_SHOWN_CHARACTERS: Final = 4


def new_secret(prefix: str) -> str:
    """A secret with 256 random bits that tells what it is by its prefix."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def last_characters(secret: str) -> str:
    """Returns the end of a secret, by which people tell secrets apart."""
    return secret[-_SHOWN_CHARACTERS:]


def hash_secret(secret: str) -> str:
    """SHA-256 in hex. No salt and no stretching: the secret has 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def bearer_secret(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """The secret of a call's ``authorization`` metadata; raises `Unauthenticated`."""
    for name, value in metadata or ():
        if name == "authorization" and isinstance(value, str):
            scheme, _, secret = value.partition(" ")
            if scheme.lower() == "bearer" and 0 < len(secret) <= MAX_SECRET_BYTES:
                return secret
            raise Unauthenticated("metadata `authorization` must be `Bearer <key>`")
    raise Unauthenticated("metadata `authorization: Bearer <key>` is missing")
