"""Which documents of a roll-up a transaction writes to, so that transactions do not meet."""

from __future__ import annotations

import random
from typing import Final

PARTS: Final = 16
"""Documents of one bucket at the most: as many processes can write it side by side."""

FIRST_PART: Final = 0
"""All processes begin with it; where two of them meet, one goes on to `other_shard`."""


def other_shard(part: int) -> int:
    """By chance, so that those who meet part."""
    other = random.randrange(PARTS - 1)  # noqa: S311 - spreads load, guards nothing
    return other if other < part else other + 1
