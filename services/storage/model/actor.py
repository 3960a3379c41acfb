"""Who changes things: an identity, which a name is not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ActorKind(StrEnum):
    """What sort of identity acts."""

    MEMBER = "MEMBER"
    TOKEN = "TOKEN"  # noqa: S105 -- a kind, not a secret
    SYSTEM = "SYSTEM"


@dataclass(frozen=True, slots=True)
class Actor:
    """An identity as it was when it acted; two of one display name differ by ``id``."""

    kind: ActorKind
    id: str
    display_name: str


SYSTEM: Final = Actor(ActorKind.SYSTEM, "system", "FeatMesh")
"""The services themselves, as at the first start of an installation."""
