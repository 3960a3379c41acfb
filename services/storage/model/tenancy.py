"""Who owns flags: organizations, projects, environments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEFAULT_RETENTION_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Organization:
    """Owns projects."""

    key: str
    display_name: str


@dataclass(frozen=True, slots=True)
class Project:
    """Owns environments."""

    key: str
    display_name: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Holds flags and segments.

    ``retention_days`` is how long events are kept that are stored from now on.
    """

    key: str
    display_name: str
    retention_days: int = DEFAULT_RETENTION_DAYS
