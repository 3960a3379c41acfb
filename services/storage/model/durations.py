"""Distributions of durations in fixed logarithmic buckets: small, bounded, and mergeable.

Eight buckets for each doubling, as in HdrHistogram: up to 15 ms a bucket is one
millisecond, above that its middle is at most 6.25 % away from any duration in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

Durations = Mapping[int, int]
"""How many durations fell into each bucket."""

LONGEST_MS: Final = 3_600_000
"""Whatever takes longer counts as this; what took less than nothing as 0."""

_BITS: Final = 3
_PER_DOUBLING: Final = 1 << _BITS


def bucket_of(milliseconds: int) -> int:
    """The bucket of a duration: 0 to 157."""
    if milliseconds < _PER_DOUBLING:
        return max(milliseconds, 0)
    bounded = min(milliseconds, LONGEST_MS)
    shift = bounded.bit_length() - _BITS - 1
    return (shift << _BITS) + (bounded >> shift)


def middle_of(bucket: int) -> float:
    """Milliseconds: the middle of what falls into a bucket."""
    shift = max(0, (bucket >> _BITS) - 1)
    low = (bucket - (shift << _BITS)) << shift
    return low + ((1 << shift) - 1) / 2


def quantile(weights: Iterable[tuple[float, int]], share: float) -> float:
    """The smallest value at or below which ``share`` (0 to 1) of all weight lies; 0 for none."""
    ordered = sorted(weights)
    wanted = share * sum(weight for _, weight in ordered)
    passed = 0
    for value, weight in ordered:
        passed += weight
        if passed >= wanted:
            return value
    return 0.0
