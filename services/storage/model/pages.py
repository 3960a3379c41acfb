"""Pages of lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

TOTAL_LIMIT: Final = 10_000
"""Number of matches above which they are no longer counted."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page; ``next_token`` is empty on the last.

    ``total`` is how many match on all pages, at most `TOTAL_LIMIT`, which also stands for
    more; None where the list does not count.
    """

    items: tuple[T, ...]
    next_token: str
    total: int | None = None
