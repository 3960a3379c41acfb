"""Distinct users as a sketch: HyperLogLog of Apache DataSketches.

Chosen over others because it is maintained, its serialised form is the same in C++, Java, Python
and Go, and its error is proved. HLL rather than CPC: a third larger, but merged ten times as
fast, and reports merge hundreds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from datasketches import hll_sketch, hll_union, tgt_hll_type

LG_K: Final = 12
"""2**12 registers: 2.1 KiB at most, and a relative standard error of 1.63 %."""

RELATIVE_STANDARD_ERROR: Final = 0.0163
"""1.04 / sqrt(2**12); an estimate is within three of it in 99.7 % of all cases."""


def extended(sketch: bytes | None, keys: Iterable[str]) -> bytes:
    """The sketch with these keys, none of them empty, in it too; None is a new one.

    Raises ValueError for bytes that are no sketch.
    """
    known = _read(sketch) if sketch else hll_sketch(LG_K, tgt_hll_type.HLL_4)
    update = known.update
    for key in keys:
        update(key)
    return bytes(known.serialize_compact())


def merged(sketches: Iterable[bytes]) -> bytes:
    """One sketch of all that any of them has seen. Raises ValueError as `extended`."""
    union = hll_union(LG_K)
    for sketch in sketches:
        union.update(_read(sketch))
    return bytes(union.get_result(tgt_hll_type.HLL_4).serialize_compact())


def estimate(sketch: bytes) -> int:
    """How many different keys it has seen, about. Raises ValueError as `extended`."""
    return round(float(_read(sketch).get_estimate()))


def estimate_merged(sketches: Iterable[bytes]) -> int:
    """The same as the estimate of `merged`, without serialising it."""
    union = hll_union(LG_K)
    for sketch in sketches:
        union.update(_read(sketch))
    return round(float(union.get_estimate()))


class Distinct:
    """Counts the different keys of sketches as they come, in bounded memory."""

    def __init__(self) -> None:
        self._union = hll_union(LG_K)

    def add(self, sketch: bytes) -> None:
        """Takes what another sketch has seen. Raises ValueError as `extended`."""
        self._union.update(_read(sketch))

    def add_all(self, other: Distinct) -> None:
        """Takes what another one has counted."""
        self._union.update(other._union.get_result(tgt_hll_type.HLL_8))

    def estimate(self) -> int:
        """How many different keys, about."""
        return round(float(self._union.get_estimate()))


def _read(sketch: bytes) -> hll_sketch:
    try:
        return hll_sketch.deserialize(bytes(sketch))
    except (RuntimeError, ValueError, IndexError, MemoryError) as error:
        raise ValueError(f"not a sketch: {error}") from None
