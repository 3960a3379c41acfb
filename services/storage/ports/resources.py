"""All resources of all kinds, and the one way to write them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from services.runtime.errors import StaleVersion
from services.storage.model.changes import AuditEntry, Change, Committed, WriteOptions
from services.storage.model.pages import Page
from services.storage.model.queries import AuditQuery, Query
from services.storage.model.resource import Ancestry, Kind, R, Stored, Version


class RevisionMoved(StaleVersion):
    """The environment changed since the checks of a `Change`; check and commit again."""

    reason = "REVISION_MOVED"


class Resources(Protocol):
    """All resources; those of a scope that does not exist raise `NotFound` for the scope.

    A ``key`` is the resource's key, or its id: a UUID, or a segment's id.
    """

    async def get(self, kind: Kind[R], scope_id: str, key: str) -> Stored[R]:
        """Not a deleted one."""
        ...

    async def get_by_id(self, kind: Kind[R], resource_id: str) -> Stored[R]:
        """By `Meta.id`, not a deleted one."""
        ...

    async def find(self, kind: Kind[R], scope_id: str, keys: Collection[str]) -> list[Stored[R]]:
        """Those of the keys (ids of kinds that have none) that are there, in any order."""
        ...

    async def list(self, kind: Kind[R], scope_id: str, query: Query) -> Page[Stored[R]]:
        """Raises `InvalidArgument` for ``page.token`` and ``filter``."""
        ...

    async def commit(self, change: Change) -> Committed:
        """One transaction: resources, history, audit; of synced kinds revision and outbox.

        An environment's new revision is ``max(now in ms, previous + 1)``. Raises `NotFound`
        for the scope, `AlreadyExists` for a taken key or id, `StaleVersion` (metadata
        ``current_version``), `RevisionMoved`, `FailedPrecondition` for the deletion of a
        scope that holds projects or environments, `InvalidArgument` for a request id that
        was used for something else. Nothing is written then.

        The deletion of an environment takes its SDK keys with it at once;
        `MaintenanceStore.remove_deleted` removes the rest. Its audit entries stay.
        """
        ...

    async def find_committed(self, scope_id: str, options: WriteOptions) -> Committed | None:
        """The outcome of the change with this request id; `InvalidArgument` as `commit`."""
        ...

    async def history(
        self, kind: Kind[R], scope_id: str, key: str, size: int, token: str
    ) -> Page[Version[R]]:
        """Newest first, deletions included, of a deleted resource too.

        Of the resource that has the key, else of the last one that had it.
        """
        ...

    async def version(self, kind: Kind[R], scope_id: str, key: str, version: int) -> Version[R]:
        """One of those."""
        ...

    async def list_audit_entries(self, query: AuditQuery) -> Page[AuditEntry]:
        """Of the scope and all below it, newest first, also of what is deleted by now.

        Without ``is_basic`` a page ends early where what its entries show is large.
        """
        ...

    async def ancestry(self, scope_id: str) -> Ancestry:
        """Where an organization, project or environment stands; remembered, so cheap.

        One that was deleted a moment ago may still be answered.
        """
        ...

    async def resolve(
        self, organization: str, project: str = "", environment: str = ""
    ) -> Ancestry:
        """The scope with these keys, or ids, as in a resource's name; one look-up by keys."""
        ...
