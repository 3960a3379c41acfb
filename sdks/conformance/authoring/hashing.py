"""The formulas of bucketing.md, once more and as plainly as possible."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from hashlib import md5


def bucket(salt: str, value: str) -> int:
    """Clause 2.1: 0 to 2^31."""
    digest = md5((salt + value).encode(), usedforsecurity=False).digest()
    (number,) = struct.unpack("<i", digest[:4])
    return abs(int(number))


def share_of(weights: Sequence[int], n: int) -> int:
    """Clause 3.1 and 3.2: the place of the share that holds bucket n."""
    for place in range(len(weights)):
        if Fraction(n, 2**31) < Fraction(sum(weights[: place + 1]), 100_000):
            return place
    return len(weights) - 1


def in_part(experiment_share: int, weight: int, n: int) -> bool:
    """Clause 4.3: whether bucket n is within min(1, experiment share / weight)."""
    part = min(Fraction(1), Fraction(experiment_share, weight))
    return part == 1 or Fraction(n, 2**31) < part
