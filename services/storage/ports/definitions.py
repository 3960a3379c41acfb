"""What `evaluation` reads."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from services.storage.model.definitions import Definitions, EnvironmentHead


class DefinitionStore(Protocol):
    """What `evaluation` reads; every answer is one point in time."""

    async def read_definitions(self, environment_id: str) -> Definitions:
        """Everything, tombstones down to the floor included."""
        ...

    async def read_changes(self, environment_id: str, since: int) -> Definitions:
        """What has a revision above ``since``, and whether the history has ``since`` at all."""
        ...

    async def read_heads(self, environment_ids: Collection[str]) -> dict[str, EnvironmentHead]:
        """Current revisions and epochs, in one read; a deleted environment is absent.

        Raises `StoreUnavailable` when there is no answer within 2 seconds.
        """
        ...

    async def has_revision(self, environment_id: str, revision: int) -> bool:
        """Whether the environment was made or changed at exactly this revision; one read.

        Raises `StoreUnavailable` when there is no answer within 2 seconds.
        """
        ...

    async def renew_epoch(self, environment_id: str, known: bytes) -> None:
        """Give the environment another epoch, unless its epoch is not ``known`` any more."""
        ...
