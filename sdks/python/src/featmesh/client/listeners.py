"""Who wants to know about changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

ChangeCallback = Callable[[frozenset[str]], None]
"""Called with the keys of the flags that may answer differently now."""

Unsubscribe = Callable[[], None]
"""Ends a subscription; doing it twice is harmless."""


class Listeners(Generic[P]):
    """Callbacks that are called in the order they came, from the thread with the news."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[object, Callable[P, None]] = {}

    def add(self, callback: Callable[P, None]) -> Unsubscribe:
        """Adds a callback; calling what is returned takes it away again."""
        token = object()
        with self._lock:
            self._callbacks[token] = callback

        def unsubscribe() -> None:
            with self._lock:
                self._callbacks.pop(token, None)

        return unsubscribe

    def notify(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Calls everyone; a callback that raises is logged and harms nobody else."""
        with self._lock:
            callbacks = tuple(self._callbacks.values())
        for callback in callbacks:
            try:
                callback(*args, **kwargs)
            except Exception:
                logger.exception("a change listener failed")

    def reset_after_fork(self) -> None:
        """Replaces the lock, which another process's thread may hold."""
        self._lock = threading.Lock()


class ChangeListeners(Listeners[[frozenset[str]]]):
    """Those who listen to changes of flags: any, one, or one with one value."""

    def notify(self, flag_keys: frozenset[str]) -> None:
        """Tells everyone, unless nothing changed."""
        if flag_keys:
            super().notify(flag_keys)

    def add_for_flag(self, flag_key: str, callback: Callable[[str], None]) -> Unsubscribe:
        """Has ``callback`` called with the key when this flag may answer differently."""
        return self.add(lambda keys: callback(flag_key) if flag_key in keys else None)

    def add_for_value(
        self, flag_key: str, read: Callable[[], T], callback: Callable[[T, T], None]
    ) -> Unsubscribe:
        """Has ``callback`` called with the former and the new value when they differ."""
        listener = _ValueListener(flag_key, read, callback)
        unsubscribe = self.add(listener)
        listener.begin()
        return unsubscribe


class _ValueListener(Generic[T]):
    """Remembers a value; another type counts as another value (1 is not True).

    It is added before it begins, so no change falls between its first look and its place
    among the listeners.
    """

    def __init__(
        self, flag_key: str, read: Callable[[], T], callback: Callable[[T, T], None]
    ) -> None:
        self._flag_key = flag_key
        self._read = read
        self._callback = callback
        self._known: tuple[T] | None = None

    def begin(self) -> None:
        """Takes the first look."""
        self._known = (self._read(),)

    def __call__(self, flag_keys: frozenset[str]) -> None:
        if self._known is None or self._flag_key not in flag_keys:
            return
        (former,), new = self._known, self._read()
        self._known = (new,)
        if former != new or type(former) is not type(new):
            self._callback(former, new)
