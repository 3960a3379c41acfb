"""How far streams have come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from services.storage.model.progress import StreamProgress

PROCESS_SECONDS: Final = 10
"""An `evaluation` process that has not been seen for so long is not counted."""

PROGRESS_SECONDS: Final = 3 * 3600
"""Seconds after its last write at which progress is forgotten, whoever wrote it."""


class ProgressStore(Protocol):
    """How far streams have come: `evaluation` counts them, `api` adds up."""

    async def report_process(self, process_id: str) -> None:
        """The process is alive now, by the store's own clock."""
        ...

    async def write_progress(
        self, process_id: str, progresses: Sequence[StreamProgress], gone: Sequence[str]
    ) -> None:
        """Replaces the process's progress in these environments, and removes those ``gone``."""
        ...

    async def read_progress(self, environment_id: str) -> list[StreamProgress]:
        """One of each process that was seen within `PROCESS_SECONDS` and has counted."""
        ...

    async def remove_process(self, process_id: str) -> None:
        """The process stops: nothing of it is counted any more."""
        ...
