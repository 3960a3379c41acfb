"""What follows of an operator's change, for those who make changes to tell of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.storage.model.changes import Change, Committed


@dataclass(frozen=True, slots=True)
class CommitHooks:
    """Callbacks, called once the store has the change; none of them raises."""

    committed: Callable[[Change, Committed], Awaitable[None]]
    """Flags or segments of an environment changed.

    Awaited before the caller is answered: it returns soon, once the change is announced.
    """

    key_revoked: Callable[[str], None]
    """An SDK key of an environment opens nothing any more."""

    environment_deleted: Callable[[], None]
    """One has gone; what it held is left to remove."""
