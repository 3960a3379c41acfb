"""What a server client has of the network: a channel with a stream and events on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from featmesh.client.connection import Connection
from featmesh.client.definition_files import DefinitionCache
from featmesh.client.feeds import DefinitionFeed
from featmesh.client.listeners import ChangeListeners
from featmesh.client.options import Options
from featmesh.client.reporter import Reporter
from featmesh.client.status import Freshness
from featmesh.client.store import DefinitionStore
from featmesh.client.stream import SyncLoop
from featmesh.client.timing import Timing

JOIN_TIMEOUT = 2.0
"""Seconds that closing waits for a thread whose call was cancelled."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a server client has that no fork takes away."""

    store: DefinitionStore
    freshness: Freshness
    listeners: ChangeListeners
    cache: DefinitionCache | None


class ServerConnection:
    """Owns the channel and all threads of a server client; the child of a fork makes its own.

    Args:
        connection: The channel; closed with the uplink.
        held: Where definitions go, and who hears of them.
        options: Settings.
        timing: Clock, dice and waiting.
        from_nothing: What is held is not the server's, so the first stream starts at nothing.
    """

    def __init__(
        self,
        connection: Connection,
        held: Held,
        *,
        options: Options,
        timing: Timing,
        from_nothing: bool,
    ) -> None:
        self._connection = connection
        self._held = held
        self.reporter = Reporter(
            connection.track, applied=lambda: self._loop.latest, options=options, timing=timing
        )
        self._loop = SyncLoop(
            feed=DefinitionFeed(connection, held.store),
            freshness=held.freshness,
            applied=self._applied,
            options=options,
            timing=timing,
            from_nothing=from_nothing,
        )

    def start(self) -> None:
        """Starts the threads."""
        self.reporter.start()
        self._loop.start()

    def close(self, timeout: float) -> None:
        """Ends the stream, sends the last events within ``timeout`` seconds, disconnects."""
        self._loop.stop()
        self.reporter.stop(timeout)
        self._connection.close()
        self._loop.join(JOIN_TIMEOUT)
        self.reporter.join(JOIN_TIMEOUT)
        if self._held.cache is not None:
            self._held.cache.flush()

    def _applied(self, changed: frozenset[str]) -> None:
        self._held.listeners.notify(changed)
        if self._held.cache is not None:
            self._held.cache.offer(self._held.store.current, self._held.store.resume)


Connect = Callable[[], Connection]
"""Opens a channel; called again in the child of a fork."""
