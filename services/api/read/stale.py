"""Flags that nobody may need any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from services.storage.model.items import FlagRecord
from services.storage.model.kinds import FLAG
from services.storage.model.pages import Page
from services.storage.model.queries import Query
from services.storage.model.reports import FlagUse
from services.storage.model.resource import Stored
from services.storage.ports.reports import ReportStore
from services.storage.ports.resources import Resources


class StaleReason(StrEnum):
    """Why."""

    NEVER_EVALUATED = "NEVER_EVALUATED"
    NOT_EVALUATED = "NOT_EVALUATED"
    SAME_VARIATION = "SAME_VARIATION"


@dataclass(frozen=True, slots=True)
class StaleFlag:
    """A flag, why it is stale, and how it was used last, if ever."""

    flag: Stored[FlagRecord]
    reason: StaleReason
    use: FlagUse | None


class StaleFlags:
    """Finds them among the flags that are not archived."""

    def __init__(self, resources: Resources, reports: ReportStore) -> None:
        self._resources = resources
        self._reports = reports

    async def list(
        self, environment_id: str, size: int, token: str, *, days: int
    ) -> Page[StaleFlag]:
        """Returns those among ``size`` flags by key; raises `NotFound`."""
        since = datetime.now(UTC) - timedelta(days=days)
        query = Query(size, token, is_basic=True)
        flags = await self._resources.list(FLAG, environment_id, query)
        keys = [flag.key for flag in flags.items]
        used = await self._reports.find_flag_use(environment_id, keys, since)
        return Page(tuple(_stale(flags.items, used, since)), flags.next_token)


def _stale(
    flags: Sequence[Stored[FlagRecord]], used: dict[str, FlagUse], since: datetime
) -> Iterator[StaleFlag]:
    for flag in flags:
        use = used.get(flag.key)
        reason = _reason(use, since, is_old=flag.meta.created_at < since)
        if reason is not None:
            yield StaleFlag(flag, reason, use)


def _reason(use: FlagUse | None, since: datetime, *, is_old: bool) -> StaleReason | None:
    if not is_old:  # what is known may be of an earlier flag with its key
        return None
    if use is None:
        return StaleReason.NEVER_EVALUATED
    if use.last_hour < since - timedelta(hours=1):  # it may have been at the end of that hour
        return StaleReason.NOT_EVALUATED
    return StaleReason.SAME_VARIATION if use.alone else None
