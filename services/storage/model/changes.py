"""How resources are changed, and what a change leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic

from services.storage.model.actor import Actor
from services.storage.model.resource import AnyStored, Kind, R, Scope, Stored


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a change is asked for.

    Within 24 hours those with one ``request_id`` in one scope are done once and answered
    alike; empty means no such check. ``digest`` stands for what is asked, and by whom:
    another one under the same id is refused. With ``validate_only`` everything is checked,
    and nothing written or remembered.
    """

    request_id: str = ""
    digest: str = ""
    validate_only: bool = False


DEFAULT_OPTIONS: Final = WriteOptions()
"""No request id; commits."""


@dataclass(frozen=True, slots=True)
class ItemChange(Generic[R]):
    """One resource's part of a change.

    ``before`` is the resource as it was read; None creates. ``after`` None deletes. A
    change is stale unless ``before`` is still current and, if set, is ``expected_version``.
    ``restores_version``, if set, is the version of the deletion that a creation must
    continue. ``id`` is that of a resource to create, if the caller chooses it. ``path`` is
    where the resource stands in the caller's request, for messages.
    """

    kind: Kind[R]
    operation: str
    before: Stored[R] | None
    after: R | None
    expected_version: int = 0
    restores_version: int = 0
    id: str = ""
    path: str = ""


AnyItemChange = ItemChange[Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One transaction over resources of one scope; synced ones get one revision.

    ``expected_revision``, if set, is the environment's that the caller's checks saw; when
    it has moved the change is refused with `RevisionMoved` and can be checked again.
    ``unchanged`` are resources that belong to the outcome and stay as they are; without
    any item nothing is written but the request id's outcome.
    """

    scope_id: str
    actor: Actor
    items: tuple[AnyItemChange, ...]
    comment: str = ""
    options: WriteOptions = DEFAULT_OPTIONS
    expected_revision: int | None = None
    unchanged: tuple[AnyStored, ...] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """Outcome of a change.

    ``resources`` are as stored, in the order of the items, None where deleted;
    ``unchanged`` are the change's. ``replayed`` says that an earlier change with this
    request id had done it. ``revision`` is the environment's, 0 at other scopes; after
    ``validate_only`` it is as it was, and those of resources are 0. ``since`` and ``floor``
    are what the environment's revision and floor were when this call wrote; ``since`` is 0
    if it wrote nothing.
    """

    revision: int
    resources: tuple[AnyStored | None, ...]
    unchanged: tuple[AnyStored, ...] = ()
    replayed: bool = False
    since: int = 0
    floor: int = 0


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who changed what.

    ``path`` is the resource's name by the keys of that time. Ids of scopes that it does not
    lie in are empty. ``before_version`` is 0 for a creation, ``after_version`` that of the
    deletion for one. ``before`` and ``after`` are JSON text: empty where there was nothing,
    where history has been pruned, and in a basic list.
    """

    id: str
    time: datetime
    actor: Actor
    operation: str
    kind: str
    resource_id: str
    path: str
    level: Scope
    organization_id: str
    project_id: str
    environment_id: str
    before_version: int
    after_version: int
    revision: int
    comment: str
    request_id: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A committed change that is to be announced."""

    id: str
    environment_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class OutboxBacklog:
    """How many announcements wait, and the revision of the oldest; None when none waits."""

    count: int
    oldest_revision: int | None
