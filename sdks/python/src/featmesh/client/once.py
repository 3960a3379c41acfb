"""Logging that tells each cause once, however often it comes back."""

from __future__ import annotations

import logging
from collections.abc import Hashable

MAX_CAUSES = 1_000
"""Causes that are remembered; nothing new is told when there are more."""


class OnceLogger:
    """Writes to a logger, at most once per cause; safe in threads."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: set[Hashable] = set()

    def warning(self, cause: Hashable, message: str, *args: object) -> None:
        """Warns, unless it did so for this cause."""
        if self._is_new(cause):
            self._logger.warning(message, *args)

    def error(self, cause: Hashable, error: Exception, message: str, *args: object) -> None:
        """Reports an exception with its traceback, unless it did so for this cause."""
        if self._is_new(cause):
            self._logger.error(message, *args, exc_info=error)

    def _is_new(self, cause: Hashable) -> bool:
        if cause in self._told or len(self._told) >= MAX_CAUSES:
            return False
        self._told.add(cause)
        return True
