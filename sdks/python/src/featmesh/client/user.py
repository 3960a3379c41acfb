"""The client for one user: holds results that the server evaluated for this context."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from featmesh.client import forks
from featmesh.client.connection import Connection, connect
from featmesh.client.detail import (
    EvaluationDetail,
    Json,
    boolean_detail,
    json_detail,
    number_detail,
    plain_value,
    string_detail,
)
from featmesh.client.evaluator import BOOLEAN, NUMBER, STRING, Read
from featmesh.client.events import EventKind
from featmesh.client.listeners import ChangeCallback, ChangeListeners, Unsubscribe
from featmesh.client.options import Options, check_endpoint
from featmesh.client.reporter import Reporter
from featmesh.client.server_connection import JOIN_TIMEOUT
from featmesh.client.session import UserSession
from featmesh.client.status import Status
from featmesh.client.store import EvaluationStore, differing_results
from featmesh.client.timing import Timing
from featmesh.engine.attributes import valid_context
from featmesh.engine.model import Context
from featmesh.wire import context_to_proto

logger = logging.getLogger(__name__)

T = TypeVar("T")


class ClientSideClient:
    """Serves one user with results that a stream keeps current; it never sees a rule.

    All methods may be called from any thread and after a fork. It connects at once, in the
    background. An evaluation never raises and never waits. A private attribute is not sent,
    so the server evaluates as if the user had none of that name.

    Args:
        address: ``host:port`` of the evaluation service.
        sdk_key: A client key (or a server key); it selects the environment.
        context: The user.
        options: Settings.
        timing: Where time and chance come from.

    Raises:
        ValueError: An address, key or context that cannot be one.
    """

    _connection: Connection | None
    _current: UserSession
    _next: UserSession | None

    def __init__(
        self,
        address: str,
        sdk_key: str,
        context: Context,
        *,
        options: Options | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._options, self._timing = options or Options(), timing or Timing()
        _check_context(context)
        self._connect: Callable[[], Connection] | None = None
        if not self._options.offline:
            check_endpoint(address, sdk_key)
            self._connect = partial(connect, address, sdk_key, self._options)
        self._listeners = ChangeListeners()
        self._begin(context)
        (forks.unconnected if self._connect is None else forks.connected).add(self)

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
        return self._current.freshness.status

    @property
    def revision(self) -> int:
        """Revision of the environment that is held for this user; 0 before the first."""
        return self._current.store.revision

    @property
    def context(self) -> Context:
        """The user that is served now."""
        return self._current.context

    def wait_until_ready(self, timeout: float | None = 10.0) -> bool:
        """Waits up to ``timeout`` seconds; True when there are results to serve."""
        return self._ready.wait(timeout) and self.status is not Status.CLOSED

    async def wait_until_ready_async(self, timeout: float | None = 10.0) -> bool:  # noqa: ASYNC109 - the same argument as its twin
        """The same as `wait_until_ready`, without blocking the event loop."""
        return await asyncio.to_thread(self.wait_until_ready, timeout)

    def on_change(self, callback: ChangeCallback) -> Unsubscribe:
        """Has ``callback`` called with the keys of flags that answer differently.

        It is called after the new results are in place, from a stream's thread, so it
        must not take long. Calling what is returned ends it.
        """
        return self._listeners.add(callback)

    def on_flag_change(self, flag_key: str, callback: Callable[[str], None]) -> Unsubscribe:
        """The same as `on_change` for one flag; called with its key."""
        return self._listeners.add_for_flag(flag_key, callback)

    def on_value_change(
        self, flag_key: str, default: T, callback: Callable[[T, T], None]
    ) -> Unsubscribe:
        """Has ``callback`` called with the old and the new value of a flag for the user.

        The default's type says how the flag is read; a list, dictionary or None reads a
        document. It counts no evaluation. Calling what is returned ends it.
        """

        def read() -> T:
            session = self._current
            return session.evaluator.peek(flag_key, session.context, default)

        return self._listeners.add_for_value(flag_key, read, callback)

    def boolean_value(self, flag_key: str, default: bool) -> bool:
        """The boolean that the flag serves to the user."""
        session = self._current
        return session.evaluator.value(flag_key, session.context, default, BOOLEAN, boolean_detail)

    def string_value(self, flag_key: str, default: str) -> str:
        """The text that the flag serves to the user."""
        session = self._current
        return session.evaluator.value(flag_key, session.context, default, STRING, string_detail)

    def number_value(self, flag_key: str, default: float) -> float:
        """The number that the flag serves to the user."""
        session = self._current
        return session.evaluator.value(flag_key, session.context, default, NUMBER, number_detail)

    def json_value(self, flag_key: str, default: Json) -> Json:
        """The document that the flag serves to the user; the caller may change it."""
        return self.json_detail(flag_key, default).value

    def boolean_detail(self, flag_key: str, default: bool) -> EvaluationDetail[bool]:
        """The same as `boolean_value`, and why."""
        return self._detail(flag_key, default, boolean_detail)

    def string_detail(self, flag_key: str, default: str) -> EvaluationDetail[str]:
        """The same as `string_value`, and why."""
        return self._detail(flag_key, default, string_detail)

    def number_detail(self, flag_key: str, default: float) -> EvaluationDetail[float]:
        """The same as `number_value`, and why."""
        return self._detail(flag_key, default, number_detail)

    def json_detail(self, flag_key: str, default: Json) -> EvaluationDetail[Json]:
        """The same as `json_value`, and why."""
        return self._detail(flag_key, default, json_detail)

    def all_flags(self) -> dict[str, Json]:
        """Every flag's value, without those in error; counts no evaluation."""
        results = self._current.store.current.by_key
        return {
            key: plain_value(result) for key, result in results.items() if result.error_kind is None
        }

    def track(
        self, event_name: str, value: float = 1.0, *, kind: EventKind = EventKind.CUSTOM
    ) -> None:
        """Reports that the user did something; sent with the next batch."""
        self._reporter.track(event_name, self._current.context, value, kind)

    def identify(self, context: Context, timeout: float = 10.0) -> bool:
        """Serves another user from now on, or the same one with other attributes.

        A new stream is opened; the former user is served until its first results are
        complete, however long that takes.

        Returns:
            Whether the new user is served after ``timeout`` seconds.

        Raises:
            ValueError: A context that cannot be one.
        """
        _check_context(context)
        session = self._session(context)
        with self._lock:
            if self.status is Status.CLOSED:
                return False
            if self._connection is None:
                self._current = session
                return True
            abandoned, self._next = self._next, session
            if abandoned is not None:
                self._retire(abandoned)
            session.start(self._connection, self._applied)
            self._swapped.wait_for(lambda: self._next is not session, timeout)
            return self._current is session

    def flush(self, timeout: float = 5.0) -> bool:
        """Sends all events now; True when none waits any more after ``timeout`` seconds."""
        return self._reporter.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Ends the stream, sends the last events within ``timeout`` seconds, disconnects.

        Doing it twice is harmless. Evaluations still answer from what was held last.
        """
        with self._lock:
            if self.status is Status.CLOSED:
                return
            sessions = [self._current, *self._retired]
            if self._next is not None:
                sessions.append(self._next)
                self._next = None
            for session in sessions:
                session.freshness.close()
            self._swapped.notify_all()
        forks.connected.discard(self)
        forks.unconnected.discard(self)
        for session in sessions:
            session.stop()
        self._reporter.stop(timeout)
        if self._connection is not None:
            self._connection.close()
        for session in sessions:
            session.join(JOIN_TIMEOUT)
        self._reporter.join(JOIN_TIMEOUT)

    def _begin(
        self, context: Context, store: EvaluationStore | None = None, *, connects: bool = True
    ) -> None:
        """Makes all that belongs to this process alone: locks, channel and threads."""
        self._ready = threading.Event()
        if store is not None and store.is_loaded:
            self._ready.set()
        self._lock = threading.Lock()
        self._swapped = threading.Condition(self._lock)
        self._retired: list[UserSession] = []
        self._next = None
        self._connection = self._connect() if self._connect is not None and connects else None
        self._reporter = Reporter(
            None if self._connection is None else self._connection.track,
            applied=lambda: self._current.applied,
            options=self._options,
            timing=self._timing,
        )
        self._current = self._session(context, store)
        self._reporter.start()
        if self._connection is not None:
            self._current.start(self._connection, self._applied)

    def _session(self, context: Context, store: EvaluationStore | None = None) -> UserSession:
        return UserSession(
            context,
            self._reporter,
            ready=self._ready,
            store=store,
            options=self._options,
            timing=self._timing,
        )

    def _applied(self, session: UserSession, changed: frozenset[str]) -> None:
        """Takes a complete change set of any session, in that session's thread."""
        with self._lock:
            if session is self._next:
                former, self._current, self._next = self._current, session, None
                self._retire(former)
                changed = differing_results(former.store.current, session.store.current)
                self._swapped.notify_all()
            elif session is not self._current:
                return
        self._listeners.notify(changed)

    def _retire(self, session: UserSession) -> None:
        """Ends a session without waiting for it; `close` waits for those still running."""
        session.stop()
        self._retired = [old for old in self._retired if old.is_running]
        self._retired.append(session)

    def _detail(self, flag_key: str, default: T, read: Read[T]) -> EvaluationDetail[T]:
        session = self._current
        return session.evaluator.detail(flag_key, session.context, default, read)

    def _after_fork(self) -> None:
        current = self._current
        forks.abandon(self._connection, self._reporter, current, self._next, self._retired)
        self._listeners.reset_after_fork()
        self._begin(current.context, current.store, connects=forks.GRPC_SURVIVES)
        if self._connect is not None and not forks.GRPC_SURVIVES:
            logger.error(forks.ADVICE)


def _check_context(context: Context) -> None:
    if not valid_context(context):
        raise ValueError("a context's key must be 1 to 512 bytes of UTF-8")
    try:
        context_to_proto(context)
    except (UnicodeEncodeError, OverflowError) as error:
        raise ValueError(f"the context cannot be sent: {error}") from error
