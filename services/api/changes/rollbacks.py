"""Going back: an earlier version of a resource becomes its newest."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.api.changes.edits import Mutation
from services.runtime.errors import FailedPrecondition, StaleVersion
from services.storage.model.changes import ItemChange
from services.storage.model.resource import R, Version

OPERATION: Final = "rollback"


def to_version_noted(mutation: Mutation, to_version: int) -> Mutation:
    """The mutation with a comment that says, for the audit log, where it went back to."""
    why = f": {mutation.comment}" if mutation.comment else ""
    return replace(mutation, comment=f"to version {to_version}{why}")


def rolled_back(earlier: Version[R], newest: Version[R], version: int) -> ItemChange[R]:
    """Makes ``earlier`` follow ``newest``, which must be ``version`` unless that is 0.

    Raises `FailedPrecondition` for a version that is a deletion, `StaleVersion`.
    """
    if earlier.stored is None:
        raise FailedPrecondition(f"version {earlier.version} is a deletion; name another one")
    if version not in {0, newest.version}:
        raise StaleVersion(
            f"the current version is {newest.version}, not {version}",
            current_version=str(newest.version),
        )
    kind, content = earlier.stored.kind, earlier.stored.content
    restores = 0 if newest.stored else newest.version
    return ItemChange(kind, OPERATION, newest.stored, content, restores_version=restores)
