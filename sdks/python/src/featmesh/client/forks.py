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

ADVICE = (
    "after a fork, flags are served as they were, since gRPC was loaded without support for "
    f"it: set {_VARIABLE}=1 in the environment, or import featmesh.client before grpc"
)


class Forkable(Protocol):
    """What begins anew in the child of a fork."""

    def _after_fork(self) -> None:
        """Replaces all that does not survive; nothing of the parent's may be waited for."""


class ForkRegistry:
    """Tells its clients in the child of a fork, in the order of their kind."""

    def __init__(self) -> None:
        self._living: WeakSet[Forkable] = WeakSet()
        self._is_hooked = False

    def add(self, client: Forkable) -> None:
        """Has a client told in every child that is forked while it lives."""
        self._living.add(client)
        if not self._is_hooked and hasattr(os, "register_at_fork"):
            self._is_hooked = True
            os.register_at_fork(after_in_child=self._in_child)

    def discard(self, client: Forkable) -> None:
        """A closed client has nothing to begin anew."""
        self._living.discard(client)

    def _in_child(self) -> None:
        for client in list(self._living):
            client._after_fork()


connected = ForkRegistry()
"""Clients with a channel, added once they have it. Python calls its hooks in the order in
which they came, gRPC's comes with the first channel, and it must have shut gRPC down
before anybody opens a channel in the child."""

unconnected = ForkRegistry()
"""Clients that never have a channel."""

_abandoned: list[object] = []


def abandon(*parts: object) -> None:
    """Keeps what belongs to the parent, as destroying it in the child could take for ever."""
    _abandoned.extend(parts)
