"""What is stored beyond the engine's model. All times are timezone-aware UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

from featmesh.engine.model import Attribute, Context, Flag, Segment

T = TypeVar("T")

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


@dataclass(frozen=True, slots=True)
class ItemMeta:
    """What only operators see of a flag or segment."""

    name: str
    description: str
    tags: tuple[str, ...]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """A flag as stored."""

    item: Flag
    meta: ItemMeta


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A segment as stored."""

    item: Segment
    meta: ItemMeta


Record = FlagRecord | SegmentRecord
R = TypeVar("R", FlagRecord, SegmentRecord)


@dataclass(frozen=True, slots=True)
class ItemVersion(Generic[R]):
    """A flag or segment as it once was; ``record`` is None where it was deleted."""

    version: int
    revision: int
    record: R | None


@dataclass(frozen=True, slots=True)
class Request:
    """How a mutation is asked for.

    Within 24 hours those with one ``id`` are done once and answered alike; empty means no
    such check. ``digest`` stands for what is asked: another one under the same id is
    refused. With ``rehearse`` everything is checked, and nothing written or remembered.
    """

    id: str = ""
    digest: str = ""
    rehearse: bool = False


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
    """

    revision: int
    records: tuple[Record | None, ...]
    kept: tuple[Record, ...] = ()
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deleted flag (by key) or segment (by id)."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class Definitions:
    """Flags, segments and tombstones of one environment at one point in time.

    From `read_definitions`: everything. From `read_changes`: only what has a revision
    above ``since``. Archived items are included; tombstones older than ``floor`` are not.
    """

    environment_id: str
    revision: int
    floor: int
    flags: tuple[Flag, ...]
    segments: tuple[Segment, ...]
    deleted_flags: tuple[Tombstone, ...] = ()
    deleted_segments: tuple[Tombstone, ...] = ()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page; ``next_token`` is empty on the last."""

    items: tuple[T, ...]
    next_token: str


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


@dataclass(frozen=True, slots=True)
class EndUser:
    """A context that was seen."""

    context: Context
    first_seen: datetime
    last_seen: datetime


class ReportDetail(NamedTuple):
    """How fine a report of evaluations is: from minutes or hours, with users or without."""

    minutes: bool
    users: bool


class VariationOfFlag(NamedTuple):
    """Which variation."""

    environment_id: str
    flag_key: str
    variation_id: str


@dataclass(frozen=True, slots=True)
class LastServed:
    """What a flag served a user when it was evaluated last."""

    variation_id: str
    time: datetime


@dataclass(frozen=True, slots=True)
class IntervalCount:
    """One variation in one interval; ``users`` is an estimate, None if not asked for."""

    start: datetime
    end: datetime
    variation_id: str
    evaluations: int
    users: int | None = None


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Intervals that are not empty, by time and variation, and each variation in all of them."""

    counts: tuple[IntervalCount, ...]
    totals: tuple[IntervalCount, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What an environment was used for; ``active_users`` is an estimate."""

    start: datetime
    end: datetime
    evaluations: int
    events: int
    active_users: int
    dropped_events: int = 0


@dataclass(frozen=True, slots=True)
class VariationUser:
    """An end user that was served a variation, and when last."""

    key: str
    name: str
    last_time: datetime


@dataclass(frozen=True, slots=True)
class FlagUse:
    """When a flag was evaluated last (the start of the hour), and what it served then.

    ``alone`` says that it served nothing else since the time that was asked about.
    """

    last_hour: datetime
    variation_id: str
    alone: bool


@dataclass(frozen=True, slots=True)
class ExperimentVariation:
    """See ``featmesh.management.v1.ExperimentVariation``."""

    variation_id: str
    users: int
    users_of_several: int
    converted_users: int = 0
    events: int = 0
    sum: float = 0.0
    sum_of_squares: float = 0.0


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


class EvaluationEvent(NamedTuple):
    """So many evaluations of one flag with one outcome for one user.

    There are tens of thousands in a second: a tuple, and times in milliseconds since the epoch.
    """

    flag_key: str
    variation_id: str
    user_key: str
    flag_revision: int
    in_experiment: bool
    evaluations: int
    first_ms: int
    last_ms: int


class MetricKind(StrEnum):
    """What a metric event is."""

    CUSTOM = "CUSTOM"
    PAGE_VIEW = "PAGE_VIEW"
    CLICK = "CLICK"


class MetricEvent(NamedTuple):
    """Something that a user did, at a time in milliseconds since the epoch."""

    name: str
    user_key: str
    value: float
    kind: MetricKind
    time_ms: int


@dataclass(frozen=True, slots=True)
class InsightBatch:
    """The events of one Track call; ``batch_id`` is unique per environment."""

    environment_id: str
    batch_id: str
    received_ms: int
    """Server clock at intake, milliseconds since the epoch."""
    evaluations: Sequence[EvaluationEvent]
    metrics: Sequence[MetricEvent]
    dropped: int = 0
    """Events that the SDK lost before it sent these."""

    def __len__(self) -> int:
        """How many events."""
        return len(self.evaluations) + len(self.metrics)


@dataclass(frozen=True, slots=True)
class EvaluationCount:
    """Evaluations that served one variation in the hour that starts at ``hour``."""

    hour: datetime
    variation_id: str
    evaluations: int
