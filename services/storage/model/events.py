"""What SDKs report, as it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class EvaluationEvent(NamedTuple):
    """So many evaluations of one flag with one outcome for one user.

    There are tens of thousands in a second: a tuple, and times in milliseconds since the epoch.
    """

    flag_key: str
    variation_id: str
    user_key: str
    flag_revision: int
    in_experiment: bool
    evaluations: int
    first_ms: int
    last_ms: int


class MetricKind(StrEnum):
    """What a metric event is."""

    CUSTOM = "CUSTOM"
    PAGE_VIEW = "PAGE_VIEW"
    CLICK = "CLICK"


class MetricEvent(NamedTuple):
    """Something that a user did, at a time in milliseconds since the epoch."""

    name: str
    user_key: str
    value: float
    kind: MetricKind
    time_ms: int


@dataclass(frozen=True, slots=True)
class InsightBatch:
    """The events of one Track call; ``batch_id`` is unique per environment."""

    environment_id: str
    batch_id: str
    received_ms: int
    """Server clock at intake, milliseconds since the epoch."""
    evaluations: Sequence[EvaluationEvent]
    metrics: Sequence[MetricEvent]
    dropped: int = 0
    """Events that the SDK lost before it sent these."""

    def __len__(self) -> int:
        """How many events."""
        return len(self.evaluations) + len(self.metrics)


@dataclass(frozen=True, slots=True)
class EvaluationCount:
    """Evaluations that served one variation in the hour that starts at ``hour``."""

    hour: datetime
    variation_id: str
    evaluations: int
