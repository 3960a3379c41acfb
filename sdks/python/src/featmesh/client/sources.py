"""Definitions that come from elsewhere than a server, such as from a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from featmesh.wire import DefinitionChanges


class DefinitionSource(Protocol):
    """Hands definitions to clients in its own process; see `featmesh.testing.TestData`."""

    def attach(self, apply: Callable[[DefinitionChanges], None]) -> Callable[[], None]:
        """Gives all that it holds at once, then each change, in order.

        Returns:
            What ends it.
        """
