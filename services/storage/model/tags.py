"""A project's vocabulary of tags."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tag:
    """A word that flags and segments are found by; ``color`` is ``#rrggbb`` or empty."""

    key: str
    display_name: str
    description: str = ""
    color: str = ""
