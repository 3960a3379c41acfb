"""What is read from roll-ups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.storage.model.pages import Page
from services.storage.model.reports import (
    EvaluationReport,
    ExperimentVariation,
    FlagUse,
    ReportDetail,
    Usage,
    VariationOfFlag,
    VariationUser,
)


class ReportStore(Protocol):
    """What SDKs reported, from roll-ups. The caller has checked that the environment is there.

    ``bounds`` are times in order: each one and the next are an interval's start and end.
    """

    async def report_evaluations(
        self, environment_id: str, flag_key: str, bounds: Sequence[datetime], detail: ReportDetail
    ) -> EvaluationReport: ...

    async def report_usage(
        self, environment_id: str, bounds: Sequence[datetime]
    ) -> tuple[Sequence[Usage], Usage]:
        """Intervals that are not empty, and all of them together."""
        ...

    async def list_variation_users(
        self, variation: VariationOfFlag, size: int, token: str, *, key_prefix: str
    ) -> Page[VariationUser]:
        """By key, as far back as evaluations are kept."""
        ...

    async def find_flag_use(
        self, environment_id: str, flag_keys: Sequence[str], since: datetime
    ) -> dict[str, FlagUse]:
        """Of those flags that were ever evaluated."""
        ...

    async def read_experiment(
        self, environment_id: str, flag_key: str, event_name: str
    ) -> Sequence[ExperimentVariation]:
        """By variation id; an empty name counts no events."""
        ...
