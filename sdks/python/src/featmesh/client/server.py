"""The client for servers: holds all definitions and evaluates any context itself."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from featmesh.client import forks
from featmesh.client.connection import connect
from featmesh.client.definition_files import DefinitionCache, read_bootstrap, write_bootstrap
from featmesh.client.detail import (
    EvaluationDetail,
    Json,
    boolean_detail,
    json_detail,
    number_detail,
    plain_value,
    string_detail,
)
from featmesh.client.evaluator import BOOLEAN, NUMBER, STRING, Evaluator
from featmesh.client.events import EventKind
from featmesh.client.listeners import ChangeCallback, ChangeListeners, Listeners, Unsubscribe
from featmesh.client.options import Options, check_endpoint
from featmesh.client.reporter import Reporter
from featmesh.client.server_connection import Connect, Held, ServerConnection
from featmesh.client.sources import DefinitionSource
from featmesh.client.status import Freshness, Status
from featmesh.client.store import DefinitionStore
from featmesh.client.stream import NOTHING
from featmesh.client.timing import Timing
from featmesh.engine import evaluate, evaluate_all
from featmesh.engine.model import Context
from featmesh.engine.snapshot import Snapshot
from featmesh.wire import DefinitionChanges

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Client:
    """Evaluates flags in the process, on definitions that a stream keeps current.

    One client per process and SDK key is enough; all methods may be called from any
    thread, from asyncio code and after a fork. It connects at once, in the background. An
    evaluation never raises and never waits: what cannot be answered gives the caller's
    default and says why in its detail.

    Args:
        address: ``host:port`` of the evaluation service.
        sdk_key: A server key; it selects the environment.
        options: Settings.
        timing: Where time and chance come from.

    Raises:
        ValueError: An address or key that cannot be one, or a bootstrap file that cannot
            be read.
    """

    def __init__(
        self,
        address: str,
        sdk_key: str,
        *,
        options: Options | None = None,
        timing: Timing | None = None,
    ) -> None:
        options, timing = options or Options(), timing or Timing()
        if options.offline:
            self._begin(options, timing)
            self._read_files()
            forks.unconnected.add(self)
            return
        check_endpoint(address, sdk_key)
        cache = None
        if options.cache_directory is not None:
            cache = DefinitionCache(
                options.cache_directory, address=address, sdk_key=sdk_key, timing=timing
            )
        self._begin(options, timing, cache=cache)
        self._read_files()
        self._open_uplink(partial(connect, address, sdk_key, options))
        forks.connected.add(self)

    @classmethod
    def for_testing(cls, source: DefinitionSource) -> Self:
        """A client without a network, which serves what a test sets; see `featmesh.testing`.

        It is READY at once and hears of each change before the call that makes it returns.
        """
        client = cls.__new__(cls)
        client._begin(Options(send_events=False, staleness=_NEVER), Timing())
        client._detach = source.attach(client._take)
        forks.unconnected.add(client)
        return client

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
        return self._held.freshness.status

    @property
    def revision(self) -> int:
        """Revision of the environment that is held; 0 before the first."""
        return self._held.store.revision

    @property
    def snapshot(self) -> Snapshot:
        """The definitions that are held now, immutable; for tools that show them."""
        return self._held.store.current

    def wait_until_ready(self, timeout: float | None = 10.0) -> bool:
        """Waits up to ``timeout`` seconds; True when there are definitions to evaluate.

        Offline there is nothing to wait for, and the answer is True.
        """
        return self._held.freshness.wait_until_ready(timeout)

    async def wait_until_ready_async(self, timeout: float | None = 10.0) -> bool:  # noqa: ASYNC109 - the same argument as its twin
        """The same as `wait_until_ready`, without blocking the event loop."""
        return await asyncio.to_thread(self.wait_until_ready, timeout)

    def on_change(self, callback: ChangeCallback) -> Unsubscribe:
        """Has ``callback`` called with the keys of flags that may answer differently.

        It is called after the new definitions are in place, from the stream's thread, so
        it must not take long. Calling what is returned ends it.
        """
        return self._held.listeners.add(callback)

    def on_flag_change(self, flag_key: str, callback: Callable[[str], None]) -> Unsubscribe:
        """The same as `on_change` for one flag; called with its key."""
        return self._held.listeners.add_for_flag(flag_key, callback)

    def on_value_change(
        self, flag_key: str, context: Context, default: T, callback: Callable[[T, T], None]
    ) -> Unsubscribe:
        """Has ``callback`` called with the old and the new value of a flag for a context.

        The default's type says how the flag is read; a list, dictionary or None reads a
        document. It counts no evaluation. Calling what is returned ends it.
        """
        read = partial(self._evaluator.peek, flag_key, context, default)
        return self._held.listeners.add_for_value(flag_key, read, callback)

    def on_status_change(self, callback: Callable[[Status], None]) -> Unsubscribe:
        """Has ``callback`` called with each new status, from the thread that made it so."""
        return self._statuses.add(callback)

    def boolean_value(self, flag_key: str, context: Context, default: bool) -> bool:
        """The boolean that the flag serves to the context."""
        return self._evaluator.value(flag_key, context, default, BOOLEAN, boolean_detail)

    def string_value(self, flag_key: str, context: Context, default: str) -> str:
        """The text that the flag serves to the context."""
        return self._evaluator.value(flag_key, context, default, STRING, string_detail)

    def number_value(self, flag_key: str, context: Context, default: float) -> float:
        """The number that the flag serves to the context."""
        return self._evaluator.value(flag_key, context, default, NUMBER, number_detail)

    def json_value(self, flag_key: str, context: Context, default: Json) -> Json:
        """The document that the flag serves to the context; the caller may change it."""
        return self._evaluator.detail(flag_key, context, default, json_detail).value

    def boolean_detail(
        self, flag_key: str, context: Context, default: bool
    ) -> EvaluationDetail[bool]:
        """The same as `boolean_value`, and why."""
        return self._evaluator.detail(flag_key, context, default, boolean_detail)

    def string_detail(self, flag_key: str, context: Context, default: str) -> EvaluationDetail[str]:
        """The same as `string_value`, and why."""
        return self._evaluator.detail(flag_key, context, default, string_detail)

    def number_detail(
        self, flag_key: str, context: Context, default: float
    ) -> EvaluationDetail[float]:
        """The same as `number_value`, and why."""
        return self._evaluator.detail(flag_key, context, default, number_detail)

    def json_detail(self, flag_key: str, context: Context, default: Json) -> EvaluationDetail[Json]:
        """The same as `json_value`, and why."""
        return self._evaluator.detail(flag_key, context, default, json_detail)

    def all_flags(self, context: Context) -> dict[str, Json]:
        """Every flag's value for the context, without those in error; counts no evaluation."""
        results = evaluate_all(self._held.store.current, context, self._timing.wall_ms())
        return {
            key: plain_value(result) for key, result in results.items() if result.error_kind is None
        }

    def track(
        self,
        event_name: str,
        context: Context,
        value: float = 1.0,
        *,
        kind: EventKind = EventKind.CUSTOM,
    ) -> None:
        """Reports that a user did something; sent with the next batch."""
        self._evaluator.reporter.track(event_name, context, value, kind)

    def identify(self, context: Context) -> None:
        """Makes a user and its attributes known; sent with the next batch."""
        self._evaluator.reporter.identify(context)

    def flush(self, timeout: float = 5.0) -> bool:
        """Sends all events now; True when none waits any more after ``timeout`` seconds."""
        return self._evaluator.reporter.flush(timeout)

    def save_definitions(self, path: str | os.PathLike[str]) -> None:
        """Writes what is held as a file that ``Options.bootstrap_file`` reads.

        Raises:
            OSError: It cannot be written.
        """
        write_bootstrap(path, self._held.store.current)

    def close(self, timeout: float = 5.0) -> None:
        """Ends the stream, sends the last events within ``timeout`` seconds, disconnects.

        Doing it twice is harmless. Evaluations still answer from what was held last.
        """
        if self.status is Status.CLOSED:
            return
        forks.connected.discard(self)
        forks.unconnected.discard(self)
        self._held.freshness.close()
        self._detach()
        if self._uplink is not None:
            self._uplink.close(timeout)

    def _begin(
        self, options: Options, timing: Timing, *, cache: DefinitionCache | None = None
    ) -> None:
        self._options, self._timing = options, timing
        self._statuses: Listeners[[Status]] = Listeners()
        freshness = Freshness(
            staleness=options.staleness,
            timing=timing,
            offline=options.offline,
            changed=self._statuses.notify,
        )
        self._held = Held(DefinitionStore(), freshness, ChangeListeners(), cache)
        self._evaluator = Evaluator(
            self._held.store,
            evaluate,
            reporter=self._silent_reporter(),
            hooks=options.hooks,
            timing=timing,
        )
        self._connect: Connect | None = None
        self._uplink: ServerConnection | None = None
        self._detach: Unsubscribe = _nothing
        self._is_bootstrapped = False

    def _silent_reporter(self) -> Reporter:
        return Reporter(None, applied=lambda: NOTHING, options=self._options, timing=self._timing)

    def _read_files(self) -> None:
        """Takes what an earlier process left, or else what the application brought."""
        changes = None if self._held.cache is None else self._held.cache.read()
        if changes is None and self._options.bootstrap_file is not None:
            changes = read_bootstrap(self._options.bootstrap_file)
            self._is_bootstrapped = True
        if changes is not None:
            self._held.store.apply(changes)
            self._held.freshness.data_applied()

    def _open_uplink(self, open_channel: Connect) -> None:
        self._connect = open_channel
        self._uplink = ServerConnection(
            open_channel(),
            self._held,
            options=self._options,
            timing=self._timing,
            from_nothing=self._is_bootstrapped,
        )
        self._evaluator.reporter = self._uplink.reporter
        self._uplink.start()

    def _take(self, changes: DefinitionChanges) -> None:
        changed = self._held.store.apply(changes)
        self._held.freshness.frame_received()
        self._held.freshness.data_applied()
        self._held.listeners.notify(changed)

    def _after_fork(self) -> None:
        forks.abandon(self._uplink)
        self._held.listeners.reset_after_fork()
        self._statuses.reset_after_fork()
        if self._connect is None:
            return
        self._held.freshness.reset_after_fork()
        self._uplink, self._evaluator.reporter = None, self._silent_reporter()
        if forks.GRPC_SURVIVES:
            self._open_uplink(self._connect)
        else:
            logger.error(forks.ADVICE)


_NEVER = 1e18
"""Seconds; longer than any process runs."""


def _nothing() -> None:
    """Ends nothing."""
