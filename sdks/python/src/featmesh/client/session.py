"""One user in a client-side client."""

from __future__ import annotations

import threading
from collections.abc import Callable

from featmesh.client.connection import Connection
from featmesh.client.evaluator import Evaluator
from featmesh.client.feeds import EvaluationFeed
from featmesh.client.options import Options
from featmesh.client.reporter import Reporter
from featmesh.client.status import Freshness
from featmesh.client.store import EvaluationStore, look_up
from featmesh.client.stream import NOTHING, Applied, SyncLoop
from featmesh.client.timing import Timing
from featmesh.engine.model import Context
from featmesh.sync.v1 import sync_pb2

OnApplied = Callable[["UserSession", frozenset[str]], None]


class UserSession:
    """A context with its results and, once connected, the loop that keeps them current.

    Args:
        context: The user.
        reporter: Counts what is served.
        ready: Set with the first results; the client's sessions share it.
        store: Results that an earlier session had.
        options: Settings.
        timing: Clock, dice and waiting.
    """

    def __init__(
        self,
        context: Context,
        reporter: Reporter,
        *,
        ready: threading.Event,
        store: EvaluationStore | None = None,
        options: Options,
        timing: Timing,
    ) -> None:
        self.context = context
        self.store = store or EvaluationStore()
        self.freshness = Freshness(
            staleness=options.staleness, timing=timing, ready=ready, offline=options.offline
        )
        self.evaluator = Evaluator(
            self.store, look_up, reporter=reporter, hooks=options.hooks, timing=timing
        )
        self._options, self._timing = options, timing
        self._loop: SyncLoop[sync_pb2.SyncEvaluationsResponse] | None = None

    def start(self, connection: Connection, applied: OnApplied) -> None:
        """Opens the stream; ``applied`` is called after each change set."""
        self._loop = SyncLoop(
            feed=EvaluationFeed(
                connection, self.store, self.context, private=self._options.private_attributes
            ),
            freshness=self.freshness,
            applied=lambda changed: applied(self, changed),
            options=self._options,
            timing=self._timing,
        )
        self._loop.start()

    @property
    def applied(self) -> Applied:
        """What the stream has brought last."""
        return NOTHING if self._loop is None else self._loop.latest

    def stop(self) -> None:
        """Ends the stream, without waiting for it."""
        if self._loop is not None:
            self._loop.stop()

    def join(self, timeout: float) -> None:
        """Waits for the stream's threads."""
        if self._loop is not None:
            self._loop.join(timeout)

    @property
    def is_running(self) -> bool:
        """Whether a thread has not ended yet."""
        return self._loop is not None and self._loop.is_running
