"""Which documents of a roll-up a transaction writes to, so that transactions do not meet."""

from __future__ import annotations

import random
from typing import Final

PARTS: Final = 16
"""Documents of one bucket at the most: as many transactions can write it side by side."""


class Parts:
    """The parts of one process: each of its transactions has one of its own.

    All processes begin with the lowest. Where two of them meet, the one whose transaction
    fails exchanges its part for another, by chance, and keeps to that.
    """

    def __init__(self) -> None:
        self._idle: list[int] = []
        self._busy: set[int] = set()

    def take(self) -> int:
        """For one transaction; the one used last, which nobody else seems to use."""
        part = self._idle.pop() if self._idle else min(self._others())
        self._busy.add(part)
        return part

    def exchange(self, part: int) -> int:
        """Another one, for the next attempt."""
        other = random.choice(self._others())  # noqa: S311 - spreads load, guards nothing
        self._busy.discard(part)
        self._busy.add(other)
        return other

    def give_back(self, part: int) -> None:
        """After the transaction."""
        self._busy.discard(part)
        if part not in self._idle:
            self._idle.append(part)

    def _others(self) -> list[int]:
        """Parts that this process does not use; all, if it uses all."""
        own = {*self._idle, *self._busy}
        return [part for part in range(PARTS) if part not in own] or list(range(PARTS))
