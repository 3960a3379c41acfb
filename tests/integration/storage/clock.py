"""A clock that a test moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass
class Clock:
    """Stands still until it is moved."""

    time: datetime

    def __call__(self) -> datetime:
        return self.time
