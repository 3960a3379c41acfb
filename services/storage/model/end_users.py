"""End users as they are stored. All times are timezone-aware UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from featmesh.engine.model import Attribute, Context


@dataclass(frozen=True, slots=True)
class EndUser:
    """A context that was seen."""

    context: Context
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class LastServed:
    """What a flag served a user when it was evaluated last."""

    variation_id: str
    time: datetime


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Lets end users through that fulfil all of it; texts that are empty ask for nothing.

    Of a list attribute one element is enough.
    """

    key_prefix: str = ""
    name_prefix: str = ""
    attributes: tuple[tuple[str, Attribute], ...] = ()


@dataclass(frozen=True, slots=True)
class UserProperty:
    """An attribute that end users had: STRING, NUMBER, BOOLEAN or LIST, and texts seen."""

    name: str
    type: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportedUser:
    """A user that comes from a file and not from an SDK.

    ``last_seen`` None: as of now, and a user that is known was not seen by this.
    """

    context: Context
    first_seen: datetime | None = None
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class ImportedUsers:
    """How many users were new, known and different, and known and the same."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: ImportedUsers) -> ImportedUsers:
        return ImportedUsers(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
        )
