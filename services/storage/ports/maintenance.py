"""Work in the background."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol


class MaintenanceStore(Protocol):
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

    async def prune_history(self, retention: timedelta, limit: int) -> int:
        """Remove versions older than ``retention`` of some resources, each in its turn.

        The newest 10 versions of each stay, and whatever they are built on; so do versions
        that are younger. How many were removed, at most ``limit``.
        """
        ...

    async def prune_audit(self, retention: timedelta, limit: int) -> int:
        """Remove the oldest audit entries older than ``retention``; how many, at most ``limit``."""
        ...

    async def renew_epochs(self) -> int:
        """Give every environment another epoch: the store was restored. How many there are."""
        ...

    async def renew_epochs_if_moved(self) -> None:
        """`renew_epochs`, with a warning, if the data is not where it was written.

        That is so after a restored dump, whose collections are new ones.
        """
        ...
