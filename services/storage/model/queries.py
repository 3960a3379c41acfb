"""What a list asks for: a page, filters, an order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.storage.model.resource import INSTALLATION_ID


@dataclass(frozen=True, slots=True)
class Equals:
    """The field has this value; its kind's `filters` name fields and their types."""

    field: str
    value: str | bool


@dataclass(frozen=True, slots=True)
class StartsWith:
    """The text field begins with this, in whichever capitals."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Contains:
    """The text field has this somewhere, in whichever capitals."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class HasTag:
    """The resource has this tag."""

    tag: str


@dataclass(frozen=True, slots=True)
class And:
    """All of them; true without any."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them; false without any."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not this one."""

    part: Predicate


Predicate = Equals | StartsWith | Contains | HasTag | And | Or | Not


class OrderBy(StrEnum):
    """What a list may be sorted by; equal ones follow each other by id."""

    KEY = "key"
    DISPLAY_NAME = "display_name"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"


@dataclass(frozen=True, slots=True)
class Query:
    """A page of a list.

    ``token`` is that of the page before, which had the same filter and order. Where a kind
    has no key, `OrderBy.KEY` is the order of creation. ``is_basic`` leaves out long lists
    and gives their lengths.
    """

    size: int
    token: str = ""
    where: Predicate | None = None
    order_by: OrderBy = OrderBy.KEY
    descending: bool = False
    include_archived: bool = False
    is_basic: bool = False


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """A page of the audit log of a scope and all below it, newest first.

    ``path`` is a resource's name, and stands for all below it too. ``path``, ``actor_id``
    and ``operation`` are empty for any.
    ``is_basic`` leaves ``before`` and ``after`` of entries empty, which are read from
    history.
    """

    size: int
    token: str = ""
    scope_id: str = INSTALLATION_ID
    path: str = ""
    actor_id: str = ""
    operation: str = ""
    is_basic: bool = False
