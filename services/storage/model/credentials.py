"""What opens the services, without the secrets. All times are timezone-aware UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SdkKeyKind(StrEnum):
    """What an SDK key opens."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"


@dataclass(frozen=True, slots=True)
class SdkKey:
    """An SDK key without its secret, of which it has the SHA-256 (hex)."""

    id: str
    environment_id: str
    kind: SdkKeyKind
    name: str
    last_characters: str
    secret_hash: str
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A management identity without its secret; ``name`` stands in the audit log."""

    id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None = None
