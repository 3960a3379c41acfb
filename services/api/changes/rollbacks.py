"""Going back: an earlier version of a flag or segment becomes its newest."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.api.changes.edits import Edit, Mutation, updated_meta
from services.runtime.errors import FailedPrecondition, StaleVersion
from services.storage.model.items import FlagRecord, ItemVersion, R, Record

OPERATION: Final = "rollback"


def to_version_noted(mutation: Mutation, to_version: int) -> Mutation:
    """The mutation with a comment that says, for the audit log, where it went back to."""
    why = f": {mutation.comment}" if mutation.comment else ""
    return replace(mutation, comment=f"to version {to_version}{why}")


def rolled_back(
    earlier: ItemVersion[R], newest: ItemVersion[R], mutation: Mutation, version: int
) -> Edit:
    """Makes ``earlier`` follow ``newest``, which must be ``version`` unless that is 0.

    Raises `FailedPrecondition` for a version that is a deletion, `StaleVersion`.
    """
    if earlier.record is None:
        raise FailedPrecondition(f"version {earlier.version} is a deletion; name another one")
    if version not in {0, newest.version}:
        raise StaleVersion(
            f"the current version is {newest.version}, not {version}",
            current_version=str(newest.version),
        )
    after = _again(earlier.record, mutation)
    if newest.record is None:
        return Edit(OPERATION, None, after, revives=newest.version)
    return Edit(OPERATION, newest.record, after)


def _again(record: Record, mutation: Mutation) -> Record:
    """Content, label and maker of an earlier version; who stores it again is the updater."""
    meta = updated_meta(record.meta, mutation)
    if isinstance(record, FlagRecord):
        return FlagRecord(record.item, meta)
    return replace(record, meta=meta)
