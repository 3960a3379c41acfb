"""The one bound on waiting in tests, and waiting for what no event announces."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE: Final = 30.0
"""Seconds after which something that a test waits for will not come."""

_LOOK_EVERY: Final = 0.05


def eventually(look: Callable[[], T], *, accept: Callable[[T], bool] = bool) -> T:
    """Looks again until the answer is accepted; for state behind a process's border.

    Raises AssertionError with the last answer after `PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while True:
        answer = look()
        if accept(answer):
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {PATIENCE:g} seconds"
        pause.wait(_LOOK_EVERY)
