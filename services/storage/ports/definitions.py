"""What `evaluation` reads."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from services.storage.model.definitions import Definitions


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
