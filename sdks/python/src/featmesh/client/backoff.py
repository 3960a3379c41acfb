"""Waits that grow, so that a server that comes back is not stormed."""

from __future__ import annotations

from collections.abc import Callable

_MAX_DOUBLINGS = 32
"""Far beyond any bound; keeps the power of two small."""


class Backoff:
    """Full jitter: each wait is uniform between 0 and a bound that doubles up to a maximum.

    Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(self, *, first: float, maximum: float, random: Callable[[], float]) -> None:
        self._first = first
        self._maximum = maximum
        self._random = random
        self._doublings = 0

    def next_delay(self, *, maximum: float | None = None) -> float:
        """Seconds to wait before the next attempt.

        Args:
            maximum: Upper bound for this wait in place of the usual one.
        """
        bound = min(self._first * 2.0**self._doublings, maximum or self._maximum)
        self._doublings = min(self._doublings + 1, _MAX_DOUBLINGS)
        return self._random() * bound

    def reset(self) -> None:
        """Starts anew from the first bound."""
        self._doublings = 0
