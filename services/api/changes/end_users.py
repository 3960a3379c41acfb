"""Brings end users in from a file, chunk by chunk; a bad one is refused alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from featmesh.management.v1 import end_user_service_pb2 as pb
from services.api.rpc.validation.end_users import imported_user
from services.storage.model.end_users import ImportedUser, ImportedUsers
from services.storage.ports.end_users import EndUserStore

REFUSALS: Final = 1_000
"""Number of refused users that an import names; further ones it counts."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was not taken, and why."""

    line: int
    field: str
    reason: str


class UserImport:
    """One import: where to, and what came of it so far."""

    def __init__(self, store: EndUserStore, environment_id: str, *, validate_only: bool) -> None:
        self._store = store
        self._environment_id = environment_id
        self._dry_run = validate_only
        self.counts = ImportedUsers()
        self.refused = 0
        self.refusals: list[Refused] = []

    async def take(self, users: Sequence[pb.ImportedUser]) -> None:
        """One chunk; raises `NotFound` for the environment."""
        for run in _runs(self._good(users)):
            self.counts += await self._store.import_end_users(
                self._environment_id, run, validate_only=self._dry_run
            )

    def _good(self, users: Iterable[pb.ImportedUser]) -> Iterator[ImportedUser]:
        now = datetime.now(UTC)
        for user in users:
            read = imported_user(user, now)
            if isinstance(read, ImportedUser):
                yield read
                continue
            self.refused += 1
            if len(self.refusals) < REFUSALS:
                first = read[0]
                self.refusals.append(Refused(user.line, first.field, first.description))


def _runs(users: Iterable[ImportedUser]) -> Iterator[list[ImportedUser]]:
    """Runs without a key twice, so that of two lines for one user the second comes later."""
    run: dict[str, ImportedUser] = {}
    for user in users:
        if user.context.key in run:
            yield list(run.values())
            run = {}
        run[user.context.key] = user
    if run:
        yield list(run.values())
