"""The client for servers: holds all definitions and evaluates any context itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from featmesh.client.connection import connect
from featmesh.client.detail import (
    EvaluationDetail,
    Json,
    boolean_detail,
    failed,
    failure,
    json_detail,
    number_detail,
    plain_value,
    string_detail,
)
from featmesh.client.feeds import DefinitionFeed
from featmesh.client.listeners import ChangeCallback, ChangeListeners
from featmesh.client.options import Options, check_endpoint
from featmesh.client.reporter import Reporter
from featmesh.client.status import Freshness, Status
from featmesh.client.store import DefinitionStore
from featmesh.client.stream import SyncLoop
from featmesh.client.timing import Timing
from featmesh.engine import evaluate, evaluate_all
from featmesh.engine.model import Context, ErrorKind, Result
from featmesh.engine.snapshot import Snapshot

logger = logging.getLogger(__name__)

JOIN_TIMEOUT = 2.0
"""Seconds that closing waits for a thread whose call was cancelled."""

T = TypeVar("T")


class Client:
    """Evaluates flags in the process, on definitions that a stream keeps current.

    One client per process and SDK key is enough; all methods may be called from any
    thread. It connects at once, in the background. An evaluation never raises and never
    waits: what cannot be answered gives the caller's default and says why in its detail.

    Args:
        address: ``host:port`` of the evaluation service.
        sdk_key: A server key; it selects the environment.
        options: Settings.
        timing: Where time and chance come from.

    Raises:
        ValueError: An address or key that cannot be one.
    """

    def __init__(
        self,
        address: str,
        sdk_key: str,
        *,
        options: Options | None = None,
        timing: Timing | None = None,
    ) -> None:
        check_endpoint(address, sdk_key)
        options, self._timing = options or Options(), timing or Timing()
        self._connection = connect(address, sdk_key, options)
        self._store = DefinitionStore()
        self._listeners = ChangeListeners()
        self._freshness = Freshness(staleness=options.staleness, timing=self._timing)
        self._reporter = Reporter(
            self._connection,
            revision=lambda: self._store.revision,
            options=options,
            timing=self._timing,
        )
        self._loop = SyncLoop(
            feed=DefinitionFeed(self._connection, self._store),
            freshness=self._freshness,
            applied=self._listeners.notify,
            options=options,
            timing=self._timing,
        )
        self._reporter.start()
        self._loop.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def status(self) -> Status:
        """How current the client is."""
        return self._freshness.status

    @property
    def revision(self) -> int:
        """Revision of the environment that is held; 0 before the first."""
        return self._store.revision

    @property
    def snapshot(self) -> Snapshot:
        """The definitions that are held now, immutable; for tools that show them."""
        return self._store.snapshot

    def wait_until_ready(self, timeout: float | None = 10.0) -> bool:
        """Waits up to ``timeout`` seconds; True when there are definitions to evaluate."""
        return self._freshness.wait_until_ready(timeout)

    def on_change(self, callback: ChangeCallback) -> Callable[[], None]:
        """Has ``callback`` called with the keys of flags that may answer differently.

        It is called after the new definitions are in place, from the stream's thread, so
        it must not take long. Calling what is returned ends it.
        """
        return self._listeners.add(callback)

    def boolean_value(self, flag_key: str, context: Context, default: bool) -> bool:
        """The boolean that the flag serves to the context."""
        return self.boolean_detail(flag_key, context, default).value

    def string_value(self, flag_key: str, context: Context, default: str) -> str:
        """The text that the flag serves to the context."""
        return self.string_detail(flag_key, context, default).value

    def number_value(self, flag_key: str, context: Context, default: float) -> float:
        """The number that the flag serves to the context."""
        return self.number_detail(flag_key, context, default).value

    def json_value(self, flag_key: str, context: Context, default: Json) -> Json:
        """The document that the flag serves to the context; the caller may change it."""
        return self.json_detail(flag_key, context, default).value

    def boolean_detail(
        self, flag_key: str, context: Context, default: bool
    ) -> EvaluationDetail[bool]:
        """The same as `boolean_value`, and why."""
        return self._detail(flag_key, context, default, boolean_detail)

    def string_detail(self, flag_key: str, context: Context, default: str) -> EvaluationDetail[str]:
        """The same as `string_value`, and why."""
        return self._detail(flag_key, context, default, string_detail)

    def number_detail(
        self, flag_key: str, context: Context, default: float
    ) -> EvaluationDetail[float]:
        """The same as `number_value`, and why."""
        return self._detail(flag_key, context, default, number_detail)

    def json_detail(self, flag_key: str, context: Context, default: Json) -> EvaluationDetail[Json]:
        """The same as `json_value`, and why."""
        return self._detail(flag_key, context, default, json_detail)

    def all_flags(self, context: Context) -> dict[str, Json]:
        """Every flag's value for the context, without those in error; counts no evaluation."""
        try:
            results = evaluate_all(self._store.snapshot, context, self._timing.wall_ms())
        except Exception:
            logger.exception("all flags could not be evaluated")
            return {}
        return {
            key: plain_value(result) for key, result in results.items() if result.error_kind is None
        }

    def track(self, event_name: str, context: Context, value: float = 1.0) -> None:
        """Reports that a user did something; sent with the next batch."""
        self._reporter.track(event_name, context, value)

    def identify(self, context: Context) -> None:
        """Makes a user and its attributes known; sent with the next batch."""
        self._reporter.identify(context)

    def flush(self, timeout: float = 5.0) -> bool:
        """Sends all events now; True when none waits any more after ``timeout`` seconds."""
        return self._reporter.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Ends the stream, sends the last events within ``timeout`` seconds, disconnects.

        Doing it twice is harmless. Evaluations still answer from what was held last.
        """
        if self._freshness.status is Status.CLOSED:
            return
        self._freshness.close()
        self._loop.stop()
        self._reporter.stop(timeout)
        self._connection.close()
        self._loop.join(JOIN_TIMEOUT)
        self._reporter.join(JOIN_TIMEOUT)

    def _detail(
        self,
        flag_key: str,
        context: Context,
        default: T,
        read: Callable[[Result, T], EvaluationDetail[T]],
    ) -> EvaluationDetail[T]:
        try:
            result = self._evaluate(flag_key, context)
            detail = read(result, default)
            self._reporter.served(context, result)
        except Exception:
            logger.exception("the flag %r could not be evaluated", flag_key)
            return failed(default, ErrorKind.GENERAL)
        return detail

    def _evaluate(self, flag_key: str, context: Context) -> Result:
        if not self._store.is_loaded:
            return failure(flag_key, ErrorKind.CLIENT_NOT_READY)
        return evaluate(self._store.snapshot, flag_key, context, self._timing.wall_ms())
