"""What opens the services, without the secrets. All times are timezone-aware UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from services.storage.model.resource import Scope

BOOTSTRAP_TOKEN_ID: Final = str(uuid5(NAMESPACE_URL, "featmesh:bootstrap-token"))
"""Id of the first token; the same in every process, so that only one of them makes it."""


class SdkKeyKind(StrEnum):
    """What an SDK key opens."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"


@dataclass(frozen=True, slots=True)
class SdkKey:
    """An SDK key; of its secret it has the SHA-256 (hex) and the last characters."""

    display_name: str
    kind: SdkKeyKind
    secret_hash: str
    last_characters: str
    revoked_at: datetime | None = None


class AccessTokenKind(StrEnum):
    """Whose rights a token has: its owner's, or its own."""

    PERSONAL = "PERSONAL"
    SERVICE = "SERVICE"


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """A role at a scope and all that lies below it."""

    role: str
    level: Scope
    scope_id: str


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A management identity without its secret, of which it has the SHA-256 (hex).

    ``owner`` is the id of the actor who answers for it. ``last_used_at`` is noted by
    `CredentialStore.record_token_use` alone: a change leaves it as it is.
    """

    display_name: str
    kind: AccessTokenKind
    secret_hash: str
    last_characters: str = ""
    owner: str = ""
    grants: tuple[RoleGrant, ...] = ()
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
