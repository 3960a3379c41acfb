"""What the services ask of a store. `services.storage.mongodb` is the adapter.

Every method may raise `StoreUnavailable`; a lookup of something that is not there raises
`NotFound` unless it returns an optional. Lists are paged by key unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from featmesh.engine.model import Context
from services.runtime.errors import StaleVersion
from services.storage.census import StreamCensus
from services.storage.model import (
    PLAINLY,
    AccessToken,
    AuditEntry,
    Change,
    Committed,
    Definitions,
    EndUser,
    Environment,
    EnvironmentSettings,
    EvaluationCount,
    EvaluationReport,
    ExperimentVariation,
    FlagRecord,
    FlagUse,
    ImportedUser,
    ImportedUsers,
    InsightBatch,
    ItemVersion,
    LastServed,
    Organization,
    OutboxBacklog,
    OutboxEntry,
    Page,
    Project,
    ReportDetail,
    Request,
    SdkKey,
    SdkKeyKind,
    SegmentRecord,
    Usage,
    UserFilter,
    UserProperty,
    VariationOfFlag,
    VariationUser,
)
from services.storage.sightings import Sightings


class RevisionMoved(StaleVersion):
    """The environment changed since the checks of a `Change`; check and commit again."""

    reason = "REVISION_MOVED"


class TenancyStore(Protocol):
    """Organizations, projects, environments. Their request ids are the installation's."""

    async def create_organization(
        self, key: str, name: str, request: Request = PLAINLY
    ) -> Organization:
        """Raises `AlreadyExists`."""
        ...

    async def list_organizations(self, size: int, token: str) -> Page[Organization]: ...

    async def create_project(
        self, organization_id: str, key: str, name: str, request: Request = PLAINLY
    ) -> Project:
        """Raises `NotFound` for the organization, `AlreadyExists`."""
        ...

    async def list_projects(self, organization_id: str, size: int, token: str) -> Page[Project]: ...

    async def create_environment(
        self, project_id: str, key: str, name: str, request: Request = PLAINLY
    ) -> Environment:
        """Raises `NotFound` for the project, `AlreadyExists`."""
        ...

    async def get_environment(self, environment_id: str) -> Environment: ...

    async def list_environments(
        self, project_id: str, size: int, token: str
    ) -> Page[Environment]: ...

    async def update_environment(
        self, environment_id: str, settings: EnvironmentSettings, request: Request = PLAINLY
    ) -> Environment:
        """As stored afterwards; its revision stays, for SDKs see nothing of it."""
        ...

    async def delete_environment(self, environment_id: str, request: Request = PLAINLY) -> None:
        """Environment and SDK keys at once; `UpkeepStore` removes the rest."""
        ...


class CredentialStore(Protocol):
    """SDK keys and management tokens, found by the SHA-256 of their secret (hex).

    Request ids are the environment's, the same as those of its items.
    """

    async def create_sdk_key(
        self,
        environment_id: str,
        kind: SdkKeyKind,
        name: str,
        *,
        secret_hash: str,
        last_characters: str,
        request: Request = PLAINLY,
    ) -> SdkKey:
        """Raises `NotFound` for the environment.

        The answer to a repeated request is the first one's key, with its own hash.
        """
        ...

    async def find_sdk_key(self, secret_hash: str) -> SdkKey | None:
        """Revoked keys too; the caller decides."""
        ...

    async def good_sdk_keys(self, sdk_key_ids: Collection[str]) -> frozenset[str]:
        """Those of the ids that are there and not revoked, in one read.

        Raises `StoreUnavailable` when there is no answer within 2 seconds.
        """
        ...

    async def list_sdk_keys(self, environment_id: str, size: int, token: str) -> Page[SdkKey]:
        """In order of creation."""
        ...

    async def revoke_sdk_key(
        self, environment_id: str, sdk_key_id: str, request: Request = PLAINLY
    ) -> SdkKey:
        """Idempotent: the first time of revocation is kept."""
        ...

    async def create_access_token(self, name: str, secret_hash: str) -> AccessToken: ...

    async def create_bootstrap_token(self, name: str, secret_hash: str) -> AccessToken | None:
        """The installation's first token; None when it was already made, by whichever process."""
        ...

    async def find_access_token(self, secret_hash: str) -> AccessToken | None: ...


class ItemStore(Protocol):
    """Flags and segments as operators see them, and the one way to write them."""

    async def get_flag(self, environment_id: str, key: str) -> FlagRecord:
        """Not a deleted one."""
        ...

    async def get_segment(self, environment_id: str, key: str) -> SegmentRecord:
        """Not a deleted one."""
        ...

    async def find_flags(self, environment_id: str, keys: Collection[str]) -> list[FlagRecord]:
        """Those of the keys that are there."""
        ...

    async def find_segments(
        self, environment_id: str, keys: Collection[str]
    ) -> list[SegmentRecord]:
        """Those of the keys that are there."""
        ...

    async def list_flags(
        self, environment_id: str, size: int, token: str, *, include_archived: bool, tag: str
    ) -> Page[FlagRecord]: ...

    async def list_segments(
        self, environment_id: str, size: int, token: str, *, include_archived: bool, tag: str
    ) -> Page[SegmentRecord]: ...

    async def commit(self, change: Change) -> Committed:
        """One transaction over items, history, environment revision, audit and outbox.

        The new revision is ``max(now in ms, previous + 1)``. Raises `NotFound` for the
        environment, `AlreadyExists` for a taken key, `StaleVersion` (metadata
        ``current_version``), `RevisionMoved`, `InvalidArgument` for a request id that was
        used for something else. Nothing is written then.
        """
        ...

    async def find_committed(self, environment_id: str, request: Request) -> Committed | None:
        """The outcome of the change that had this request; `InvalidArgument` as `commit`."""
        ...

    async def list_flag_versions(
        self, environment_id: str, key: str, size: int, token: str
    ) -> Page[ItemVersion[FlagRecord]]:
        """Newest first, deletions included, of a deleted flag too."""
        ...

    async def list_segment_versions(
        self, environment_id: str, key: str, size: int, token: str
    ) -> Page[ItemVersion[SegmentRecord]]:
        """As of flags; of the segment that has the key, else of the last one that had it."""
        ...

    async def get_flag_version(
        self, environment_id: str, key: str, version: int
    ) -> ItemVersion[FlagRecord]:
        """One of those."""
        ...

    async def get_segment_version(
        self, environment_id: str, key: str, version: int
    ) -> ItemVersion[SegmentRecord]:
        """One of those."""
        ...

    async def list_audit_entries(
        self, environment_id: str, size: int, token: str, *, resource: str
    ) -> Page[AuditEntry]:
        """Newest first."""
        ...


class DefinitionStore(Protocol):
    """What `evaluation` reads; every answer is one point in time."""

    async def read_definitions(self, environment_id: str) -> Definitions:
        """Everything, tombstones down to the floor included."""
        ...

    async def read_changes(self, environment_id: str, since: int) -> Definitions:
        """What has a revision above ``since``."""
        ...

    async def read_revisions(self, environment_ids: Collection[str]) -> dict[str, int]:
        """Current revisions, in one read; a deleted environment is absent.

        Raises `StoreUnavailable` when there is no answer within 2 seconds.
        """
        ...


class OutboxStore(Protocol):
    """Committed changes that wait for their announcement."""

    async def list_outbox(self, limit: int) -> list[OutboxEntry]:
        """Oldest first."""
        ...

    async def delete_outbox(self, ids: Sequence[str]) -> None: ...

    async def measure_outbox(self) -> OutboxBacklog:
        """How much waits; beyond 10,000 entries they are no longer counted."""
        ...


class UpkeepStore(Protocol):
    """What is done in the background by one process at a time, in bounded steps.

    Each step may be repeated, and be done by two processes at once, without harm.
    """

    async def hold_lease(self, name: str, holder: str, duration: timedelta) -> bool:
        """Take or prolong it; False while another holder's has not run out."""
        ...

    async def release_lease(self, name: str, holder: str) -> None:
        """Nothing happens unless the holder has it."""
        ...

    async def remove_deleted(self, limit: int) -> int:
        """Remove data of deleted environments; how many documents, at most ``limit``."""
        ...

    async def compact_tombstones(self, retention: timedelta, limit: int) -> int:
        """Remove tombstones older than ``retention`` of one environment, oldest first.

        The floor is raised to the newest revision among them, in the same transaction. How
        many were removed, at most ``limit``; 0 when no environment has any.
        """
        ...


class EndUserStore(Protocol):
    """End users as operators see them. Each method raises `NotFound` for the environment."""

    async def search_end_users(
        self, environment_id: str, size: int, token: str, *, user_filter: UserFilter
    ) -> Page[EndUser]:
        """By key; by name and key if the filter has a name.

        A page may be short, or empty, and not the last one: a bounded number of users is
        looked at.
        """
        ...

    async def get_end_user(self, environment_id: str, key: str) -> EndUser:
        """Raises `NotFound` for the user too."""
        ...

    async def list_user_properties(
        self, environment_id: str, size: int, token: str
    ) -> Page[UserProperty]:
        """By name."""
        ...

    async def import_end_users(
        self, environment_id: str, users: Sequence[ImportedUser], *, dry_run: bool
    ) -> ImportedUsers:
        """Merges users with different keys; what was seen later stays. Repeating is harmless."""
        ...

    async def find_last_served(
        self, environment_id: str, key: str, flag_keys: Sequence[str]
    ) -> dict[str, LastServed]:
        """By flag, those of these that were, as far back as evaluations are kept."""
        ...


class InsightStore(Protocol):
    """End users, events and roll-ups."""

    async def upsert_end_users(
        self, environment_id: str, users: Sequence[Context], seen_at: datetime
    ) -> None:
        """Newer attributes win over older ones of the same name; also learns property names."""
        ...

    async def store_sightings(self, sightings: Sequence[Sightings]) -> None:
        """The same of several, together. Where it fails some may be stored: try again."""
        ...

    async def list_end_users(
        self, environment_id: str, size: int, token: str, *, key_prefix: str
    ) -> Page[EndUser]: ...

    async def store_insights(self, batches: Sequence[InsightBatch]) -> int:
        """Events and roll-ups of all in one transaction; how many batches were not there yet.

        A batch that was there, or comes twice, is left out. First exposures are merged as
        well. Stored as docs/protocol/insights.md says.
        """
        ...

    async def count_evaluations(
        self, environment_id: str, flag_key: str, start: datetime, end: datetime
    ) -> list[EvaluationCount]:
        """Hours from the one that holds ``start`` up to but without ``end``; by hour, variation."""
        ...


class ReportStore(Protocol):
    """What SDKs reported, from roll-ups. The caller has checked that the environment is there.

    ``bounds`` are times in order: each one and the next are an interval's start and end.
    """

    async def report_evaluations(
        self, environment_id: str, flag_key: str, bounds: Sequence[datetime], detail: ReportDetail
    ) -> EvaluationReport: ...

    async def report_usage(
        self, environment_id: str, bounds: Sequence[datetime]
    ) -> tuple[Sequence[Usage], Usage]:
        """Intervals that are not empty, and all of them together."""
        ...

    async def list_variation_users(
        self, variation: VariationOfFlag, size: int, token: str, *, key_prefix: str
    ) -> Page[VariationUser]:
        """By key, as far back as evaluations are kept."""
        ...

    async def find_flag_use(
        self, environment_id: str, flag_keys: Sequence[str], since: datetime
    ) -> dict[str, FlagUse]:
        """Of those flags that were ever evaluated."""
        ...

    async def read_experiment(
        self, environment_id: str, flag_key: str, event_name: str
    ) -> Sequence[ExperimentVariation]:
        """By variation id; an empty name counts no events."""
        ...


PROCESS_SECONDS: Final = 10
"""An `evaluation` process that has not been seen for so long is not counted."""

CENSUS_SECONDS: Final = 3 * 3600
"""A census that has not been written for so long is forgotten, whoever wrote it."""


class CensusStore(Protocol):
    """How far streams have come: `evaluation` counts them, `api` adds up."""

    async def report_process(self, process_id: str) -> None:
        """The process is alive now, by the store's own clock."""
        ...

    async def write_census(
        self, process_id: str, censuses: Sequence[StreamCensus], gone: Sequence[str]
    ) -> None:
        """Replaces the process's censuses of these environments, and removes those ``gone``."""
        ...

    async def read_census(self, environment_id: str) -> list[StreamCensus]:
        """One of each process that was seen within `PROCESS_SECONDS` and has counted."""
        ...

    async def remove_process(self, process_id: str) -> None:
        """The process stops: nothing of it is counted any more."""
        ...


class Store(Protocol):
    """All ports over one connection."""

    tenancy: TenancyStore
    credentials: CredentialStore
    items: ItemStore
    definitions: DefinitionStore
    outbox: OutboxStore
    upkeep: UpkeepStore
    insights: InsightStore
    end_users: EndUserStore
    reports: ReportStore
    census: CensusStore

    async def migrate(self) -> None:
        """Bring indexes and schema to this version; idempotent, safe in several processes."""
        ...

    async def ping(self) -> None:
        """Raises `StoreUnavailable` when the store does not answer within 2 seconds."""
        ...

    async def close(self) -> None: ...
