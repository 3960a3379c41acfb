"""The client for one user: holds results that the server evaluated for this context."""

from __future__ import annotations

import logging
import threading
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
from featmesh.client.listeners import ChangeCallback, ChangeListeners
from featmesh.client.options import Options, check_endpoint
from featmesh.client.reporter import Reporter
from featmesh.client.session import UserSession
from featmesh.client.status import Status
from featmesh.client.store import differing_results
from featmesh.client.timing import Timing
from featmesh.engine.attributes import valid_context
from featmesh.engine.model import Context, ErrorKind, Result
from featmesh.wire import context_to_proto

logger = logging.getLogger(__name__)

JOIN_TIMEOUT = 2.0
"""Seconds that closing waits for a thread whose call was cancelled."""

T = TypeVar("T")


class ClientSideClient:
    """Serves one user with results that a stream keeps current; it never sees a rule.

    All methods may be called from any thread. It connects at once, in the background. An
    evaluation never raises and never waits.

    Args:
        address: ``host:port`` of the evaluation service.
        sdk_key: A client key (or a server key); it selects the environment.
        context: The user.
        options: Settings.
        timing: Where time and chance come from.

    Raises:
        ValueError: An address, key or context that cannot be one.
    """

    def __init__(
        self,
        address: str,
        sdk_key: str,
        context: Context,
        *,
        options: Options | None = None,
        timing: Timing | None = None,
    ) -> None:
        check_endpoint(address, sdk_key)
        _check_context(context)
        self._options, self._timing = options or Options(), timing or Timing()
        self._connection = connect(address, sdk_key, self._options)
        self._listeners = ChangeListeners()
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._retired: list[UserSession] = []
        self._next: UserSession | None = None
        self._swapped = threading.Condition(self._lock)
        self._current = self._session(context)
        self._reporter = Reporter(
            self._connection,
            revision=lambda: self._current.store.revision,
            options=self._options,
            timing=self._timing,
        )
        self._reporter.start()
        self._current.loop.start()

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

    def on_change(self, callback: ChangeCallback) -> Callable[[], None]:
        """Has ``callback`` called with the keys of flags that answer differently.

        It is called after the new results are in place, from a stream's thread, so it
        must not take long. Calling what is returned ends it.
        """
        return self._listeners.add(callback)

    def boolean_value(self, flag_key: str, default: bool) -> bool:
        """The boolean that the flag serves to the user."""
        return self.boolean_detail(flag_key, default).value

    def string_value(self, flag_key: str, default: str) -> str:
        """The text that the flag serves to the user."""
        return self.string_detail(flag_key, default).value

    def number_value(self, flag_key: str, default: float) -> float:
        """The number that the flag serves to the user."""
        return self.number_detail(flag_key, default).value

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
        results = self._current.store.results.by_key
        return {
            key: plain_value(result) for key, result in results.items() if result.error_kind is None
        }

    def track(self, event_name: str, value: float = 1.0) -> None:
        """Reports that the user did something; sent with the next batch."""
        self._reporter.track(event_name, self._current.context, value)

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
            abandoned, self._next = self._next, session
            if abandoned is not None:
                self._retire(abandoned)
            session.loop.start()
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
        for session in sessions:
            session.loop.stop()
        self._reporter.stop(timeout)
        self._connection.close()
        for session in sessions:
            session.loop.join(JOIN_TIMEOUT)
        self._reporter.join(JOIN_TIMEOUT)

    def _session(self, context: Context) -> UserSession:
        return UserSession(
            self._connection,
            context,
            ready=self._ready,
            applied=self._applied,
            options=self._options,
            timing=self._timing,
        )

    def _applied(self, session: UserSession, changed: frozenset[str]) -> None:
        """Takes a complete change set of any session, in that session's thread."""
        with self._lock:
            if session is self._next:
                former, self._current, self._next = self._current, session, None
                self._retire(former)
                changed = differing_results(former.store.results, session.store.results)
                self._swapped.notify_all()
            elif session is not self._current:
                return
        self._listeners.notify(changed)

    def _retire(self, session: UserSession) -> None:
        """Ends a session without waiting for it; `close` waits for those still running."""
        session.loop.stop()
        self._retired = [old for old in self._retired if old.loop.is_running]
        self._retired.append(session)

    def _detail(
        self, flag_key: str, default: T, read: Callable[[Result, T], EvaluationDetail[T]]
    ) -> EvaluationDetail[T]:
        try:
            session = self._current
            result = _result(session, flag_key)
            detail = read(result, default)
            self._reporter.served(session.context, result)
        except Exception:
            logger.exception("the flag %r could not be evaluated", flag_key)
            return failed(default, ErrorKind.GENERAL)
        return detail


def _result(session: UserSession, flag_key: str) -> Result:
    if not session.store.is_loaded:
        return failure(flag_key, ErrorKind.CLIENT_NOT_READY)
    result = session.store.results.by_key.get(flag_key)
    return result or failure(flag_key, ErrorKind.FLAG_NOT_FOUND)


def _check_context(context: Context) -> None:
    if not valid_context(context):
        raise ValueError("a context's key must be 1 to 512 bytes of UTF-8")
    try:
        context_to_proto(context)
    except (UnicodeEncodeError, OverflowError) as error:
        raise ValueError(f"the context cannot be sent: {error}") from error
