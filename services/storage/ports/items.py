"""Flags and segments as operators see them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from services.runtime.errors import StaleVersion
from services.storage.model.changes import AuditEntry, Change, Committed, Request
from services.storage.model.items import FlagRecord, ItemVersion, SegmentRecord
from services.storage.model.pages import Page


class RevisionMoved(StaleVersion):
    """The environment changed since the checks of a `Change`; check and commit again."""

    reason = "REVISION_MOVED"


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
