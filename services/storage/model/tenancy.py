"""Who owns flags: organizations, projects, environments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEFAULT_RETENTION_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Organization:
    """Owns projects."""

    id: str
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Project:
    """Owns environments."""

    id: str
    organization_id: str
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Holds flags and segments; ``floor`` is the oldest revision to resume from.

    ``retention_days`` is how long events are kept that are stored from now on.
    """

    id: str
    project_id: str
    key: str
    name: str
    revision: int
    floor: int
    retention_days: int = DEFAULT_RETENTION_DAYS


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """What shall be different in an environment; None leaves it."""

    name: str | None = None
    retention_days: int | None = None
