"""The environments of this process, as those see them who follow their progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.evaluation.progress.tracker import ProgressTracker


class Tracked(Protocol):
    """An environment whose streams are counted."""

    @property
    def environment_id(self) -> str:
        """Its id."""
        ...

    @property
    def progress(self) -> ProgressTracker:
        """How far its streams have come."""
        ...


class Environments(Protocol):
    """Those in memory; `services.evaluation.replica.replica.Replicas`."""

    def loaded(self) -> Sequence[Tracked]:
        """All of them."""
        ...

    def held(self, environment_id: str) -> Tracked | None:
        """The one, if it is in memory."""
        ...
