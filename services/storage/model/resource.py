"""What all resources have in common: a kind that is declared once, and an envelope.

A resource of a new kind is a plain frozen dataclass of what an operator sets, a `Kind` in
`kinds`, and a codec in the adapter. Version check, uniqueness, history, audit, request ids,
``validate_only``, lists and removal follow from the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from services.storage.model.actor import Actor

R = TypeVar("R")

INSTALLATION_ID: Final = "installation"
"""The scope id of what stands above all organizations."""


class Scope(StrEnum):
    """Levels at which resources live, from the top."""

    INSTALLATION = "INSTALLATION"
    ORGANIZATION = "ORGANIZATION"
    PROJECT = "PROJECT"
    ENVIRONMENT = "ENVIRONMENT"


@dataclass(frozen=True, eq=False)
class Kind(Generic[R]):
    """A sort of resource.

    ``collection`` is where the store keeps them, ``plural`` the second last part of their
    names. ``scopes`` are the levels at which it may live, the usual one first. ``key_of``
    gives the key, which is unique within the scope and never changes; None where the id
    stands for it. ``local_id`` gives the id within the scope; None where the store makes a UUID.
    ``versioned`` kinds have a history. ``synced`` ones reach SDKs: a change raises the
    environment's revision and is announced, a deletion leaves a tombstone. ``opens`` is the
    level at which a resource of this kind is itself the scope of others. ``filters`` are
    the fields that a list may be filtered by, with their types.
    """

    name: str
    collection: str
    plural: str
    scopes: tuple[Scope, ...]
    key_of: Callable[[R], str] | None = None
    local_id: Callable[[R], str] | None = None
    versioned: bool = True
    synced: bool = False
    archivable: bool = False
    opens: Scope | None = None
    filters: Mapping[str, type] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """As messages say it: ``SDK key``."""
        return self.name.replace("_", " ").replace("sdk", "SDK")


@dataclass(frozen=True, slots=True)
class Meta:
    """What the store knows of a resource; all times are timezone-aware UTC.

    ``id`` is unique in the installation: a UUID; of flags and segments the environment's
    id, a slash, and the flag's key or the segment's id. ``version`` counts this resource's
    changes from 1. ``revision`` is the environment's at which a synced resource was
    written, of an environment its current one, else 0.
    """

    id: str
    scope_id: str
    version: int
    revision: int
    created_at: datetime
    created_by: Actor
    updated_at: datetime
    updated_by: Actor


@dataclass(frozen=True, slots=True)
class Stored(Generic[R]):
    """A resource as stored.

    In a basic list ``is_basic`` is set, long lists of ``content`` are empty and ``counts``
    says how long they are.
    """

    kind: Kind[R]
    meta: Meta
    content: R
    counts: Mapping[str, int] = field(default_factory=dict)
    is_basic: bool = False

    @property
    def key(self) -> str:
        """The resource's key, or its id where it has none."""
        return self.kind.key_of(self.content) if self.kind.key_of else self.meta.id


@dataclass(frozen=True, slots=True)
class Version(Generic[R]):
    """A resource as it once was; ``stored`` is None where it was deleted."""

    version: int
    revision: int
    stored: Stored[R] | None


@dataclass(frozen=True, slots=True)
class Ancestry:
    """Where a scope stands: ids down to it, empty below, and its name by keys.

    ``path`` is such as ``organizations/acme/projects/shop``, empty for the installation.
    Neither ever changes, so both may be remembered.
    """

    level: Scope
    organization_id: str = ""
    project_id: str = ""
    environment_id: str = ""
    path: str = ""

    @property
    def scope_id(self) -> str:
        """The id of the scope itself."""
        return self.environment_id or self.project_id or self.organization_id or INSTALLATION_ID


AnyStored = Stored[Any]
AnyKind = Kind[Any]
