"""Users that were seen, as they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from featmesh.engine.model import Context


@dataclass(frozen=True, slots=True)
class UserObservations:
    """Users of one environment who were seen at one time; of two of one user the second wins."""

    environment_id: str
    users: Sequence[Context]
    seen_at: datetime

    def __len__(self) -> int:
        """How many."""
        return len(self.users)
