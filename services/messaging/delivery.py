"""What every adapter promises alike about delivering a message again."""

from __future__ import annotations

import random
from typing import Final

CONFIRM_TIMEOUT: Final = 5.0
"""Seconds that a publish waits, and that closing a bus waits for publishes under way."""

DRAIN_TIMEOUT: Final = 10.0
"""Seconds that closing a consumer waits for its handlers."""

REASON_LIMIT: Final = 1024
"""Characters of a dead letter's reason."""

_FIRST_DELAY = 0.05
_LONGEST_DELAY = 2.0


def retry_delay(deliveries: int) -> float:
    """Seconds before a message that failed ``deliveries`` times (1, 2, …) is tried again.

    Doubles from 0.1 s up to 2 s, less a jitter of up to half.
    """
    ceiling = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(deliveries, 10))
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads load, guards nothing


def reason_of(error: Exception) -> str:
    """The text that a dead letter carries."""
    return (str(error) or type(error).__name__)[:REASON_LIMIT]
