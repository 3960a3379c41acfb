"""Who wants to know about changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

ChangeCallback = Callable[[frozenset[str]], None]
"""Called with the keys of the flags that may answer differently now."""


class ChangeListeners:
    """Callbacks that are called from the stream's thread, in the order they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[object, ChangeCallback] = {}

    def add(self, callback: ChangeCallback) -> Callable[[], None]:
        """Adds a callback; calling what is returned takes it away again."""
        token = object()
        with self._lock:
            self._callbacks[token] = callback

        def unsubscribe() -> None:
            with self._lock:
                self._callbacks.pop(token, None)

        return unsubscribe

    def notify(self, flag_keys: frozenset[str]) -> None:
        """Calls everyone; a callback that raises is logged and harms nobody else."""
        if not flag_keys:
            return
        with self._lock:
            callbacks = tuple(self._callbacks.values())
        for callback in callbacks:
            try:
                callback(flag_keys)
            except Exception:
                logger.exception("a change listener failed")
