"""What is read from roll-ups. All times are timezone-aware UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class ReportDetail(NamedTuple):
    """How fine a report of evaluations is: from minutes or hours, with users or without."""

    minutes: bool
    users: bool


class VariationOfFlag(NamedTuple):
    """Which variation."""

    environment_id: str
    flag_key: str
    variation_id: str


@dataclass(frozen=True, slots=True)
class IntervalCount:
    """One variation in one interval; ``users`` is an estimate, None if not asked for."""

    start: datetime
    end: datetime
    variation_id: str
    evaluations: int
    users: int | None = None


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Intervals that are not empty, by time and variation, and each variation in all of them."""

    counts: tuple[IntervalCount, ...]
    totals: tuple[IntervalCount, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What an environment was used for; ``active_users`` is an estimate."""

    start: datetime
    end: datetime
    evaluations: int
    events: int
    active_users: int
    dropped_events: int = 0


@dataclass(frozen=True, slots=True)
class VariationUser:
    """An end user that was served a variation, and when last."""

    key: str
    name: str
    last_time: datetime


@dataclass(frozen=True, slots=True)
class FlagUse:
    """When a flag was evaluated last (the start of the hour), and what it served then.

    ``alone`` says that it served nothing else since the time that was asked about.
    """

    last_hour: datetime
    variation_id: str
    alone: bool


@dataclass(frozen=True, slots=True)
class ExperimentVariation:
    """See ``featmesh.management.v1.ExperimentVariation``."""

    variation_id: str
    users: int
    users_of_several: int
    converted_users: int = 0
    events: int = 0
    sum: float = 0.0
    sum_of_squares: float = 0.0
