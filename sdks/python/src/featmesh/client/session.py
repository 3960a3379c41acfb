"""One user's stream in a client-side client."""

from __future__ import annotations

import threading
from collections.abc import Callable

from featmesh.client.connection import Connection
from featmesh.client.feeds import EvaluationFeed
from featmesh.client.options import Options
from featmesh.client.status import Freshness
from featmesh.client.store import EvaluationStore
from featmesh.client.stream import SyncLoop
from featmesh.client.timing import Timing
from featmesh.engine.model import Context

Applied = Callable[["UserSession", frozenset[str]], None]


class UserSession:
    """A context with its results and the loop that keeps them current."""

    def __init__(
        self,
        connection: Connection,
        context: Context,
        *,
        ready: threading.Event,
        applied: Applied,
        options: Options,
        timing: Timing,
    ) -> None:
        self.context = context
        self.store = EvaluationStore()
        self.freshness = Freshness(staleness=options.staleness, timing=timing, ready=ready)
        self.loop = SyncLoop(
            feed=EvaluationFeed(connection, self.store, context),
            freshness=self.freshness,
            applied=lambda changed: applied(self, changed),
            options=options,
            timing=timing,
        )
