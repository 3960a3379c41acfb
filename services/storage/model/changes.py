"""How flags and segments are changed, and what a change leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.storage.model.items import Record


@dataclass(frozen=True, slots=True)
class Request:
    """How a mutation is asked for.

    Within 24 hours those with one ``id`` are done once and answered alike; empty means no
    such check. ``digest`` stands for what is asked: another one under the same id is
    refused. With ``validate_only`` everything is checked, and nothing written or remembered.
    """

    id: str = ""
    digest: str = ""
    validate_only: bool = False


PLAINLY: Final = Request()
"""Without a request id, and in earnest."""


@dataclass(frozen=True, slots=True)
class Write:
    """One item's part of a change.

    ``before`` None creates, ``after`` None deletes. The store sets the version (that of
    ``before`` plus one, continuing over a tombstone) and the revision. ``revives``, if set,
    is the version of the tombstone that a creation must continue.
    """

    operation: str
    before: Record | None
    after: Record | None
    revives: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One transaction: all its items get one revision.

    ``based_on``, if set, is the environment revision that the caller's checks saw; when
    it has moved the change is refused with `RevisionMoved` and can be checked again.
    ``kept`` are items that belong to the outcome and stay as they are; without any write
    the environment's revision stays too, and only the request is remembered.
    """

    environment_id: str
    actor: str
    writes: tuple[Write, ...]
    comment: str = ""
    request: Request = PLAINLY
    based_on: int | None = None
    kept: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """Outcome of a change.

    ``records`` are as stored, in the order of the writes, None where deleted; ``kept`` are
    the change's. ``replayed`` says that an earlier request with this id had done it. After
    a rehearsal the revision is the environment's as it was, and those of records are 0.
    ``since`` and ``floor`` are what the environment's revision and floor were when this
    call wrote; ``since`` is 0 if it wrote nothing.
    """

    revision: int
    records: tuple[Record | None, ...]
    kept: tuple[Record, ...] = ()
    replayed: bool = False
    since: int = 0
    floor: int = 0


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who changed what; ``before`` and ``after`` are JSON text or empty."""

    id: str
    time: datetime
    actor: str
    resource: str
    operation: str
    comment: str
    revision: int
    before: str
    after: str


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
