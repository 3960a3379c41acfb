"""Clients go on in the child of a fork, as gunicorn, uWSGI and celery make them.

The child holds copies of its parent's locks, some of them locked, and of its threads only
the one that forked. So every client is told in the child, before any other code runs
there, to begin anew: what it holds stays, its threads, locks, channel and events do not.

gRPC itself survives a fork only where ``GRPC_ENABLE_FORK_SUPPORT=1`` was in the
environment when it was loaded. This module sets it if it comes first, which it does where
FeatMesh is imported before gRPC; the client's package imports it before anything else.
"""

from __future__ import annotations

import os
import sys
from typing import Protocol
from weakref import WeakSet

_VARIABLE = "GRPC_ENABLE_FORK_SUPPORT"
_YES = frozenset({"1", "true", "yes", "y", "on"})


def _enable() -> bool:
    """Whether the gRPC of this process survives a fork, after having asked it to."""
    if "grpc" not in sys.modules:
        os.environ.setdefault(_VARIABLE, "1")
    return os.environ.get(_VARIABLE, "0").lower() in _YES


GRPC_SURVIVES = _enable()
"""Whether a channel can be opened in the child of a fork."""


class Forkable(Protocol):
    """What begins anew in the child of a fork."""

    def _after_fork(self) -> None:
        """Replaces all that does not survive; nothing of the parent's may be waited for."""


_living: WeakSet[Forkable] = WeakSet()
_abandoned: list[object] = []
"""The parent's channels and threads: destroying them in the child could wait for ever."""


def register(client: Forkable) -> None:
    """Has a client told in every child that is forked while it lives."""
    _living.add(client)


def unregister(client: Forkable) -> None:
    """A closed client has nothing to begin anew."""
    _living.discard(client)


def abandon(*parts: object) -> None:
    """Keeps what belongs to the parent from being destroyed in the child."""
    _abandoned.extend(parts)


def _in_child() -> None:
    for client in list(_living):
        client._after_fork()  # noqa: SLF001 - the one caller that it is for


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
