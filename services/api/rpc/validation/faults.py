"""Collects what is wrong with a request, so that its caller learns all of it at once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from services.api.rpc import limits
from services.runtime.errors import InvalidArgument, Violation

_KEY: Final = re.compile(limits.KEY_PATTERN)
_QUOTED_CHARACTERS: Final = 64


def quoted(text: str) -> str:
    """The text for a message: in quotes, printable, bounded."""
    shown = text if len(text) <= _QUOTED_CHARACTERS else text[:_QUOTED_CHARACTERS] + "…"
    return ascii(shown) if not shown.isprintable() else f"'{shown}'"


class Faults:
    """Violations found so far. Paths are proto field names from the request down."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def __bool__(self) -> bool:
        return bool(self._violations)

    def add(self, path: str, description: str) -> None:
        """One more."""
        self._violations.append(Violation(path, description))

    def finish(self) -> None:
        """Raises `InvalidArgument` with everything that was found."""
        if self._violations:
            raise InvalidArgument(self._violations)

    def key(self, path: str, value: str) -> None:
        """The key of a flag, segment, environment, project or organization."""
        if not _KEY.fullmatch(value):
            self.add(path, f"is {quoted(value)}; a key must match ^{limits.KEY_PATTERN}$")

    def text(self, path: str, value: str, high: int, *, low: int = 0) -> None:
        """``low`` to ``high`` bytes of UTF-8."""
        size = len(value.encode())
        if size > high:
            self.add(path, f"has {size} bytes; the limit is {high}")
        elif size < low:
            self.add(path, "is required" if size == 0 else f"has {size} bytes, fewer than {low}")

    def line(self, path: str, value: str, high: int, *, low: int = 0) -> None:
        """A text that is shown on one line: without control characters."""
        self.text(path, value, high, low=low)
        if not value.isprintable() and any(unicodedata.category(c) == "Cc" for c in value):
            self.add(path, "holds a control character")

    def count(self, path: str, size: int, high: int, *, low: int = 0) -> None:
        """The length of a list."""
        if size > high:
            self.add(path, f"has {size} entries; the limit is {high}")
        elif size < low:
            self.add(path, "is required" if low == 1 else f"has {size} entries, fewer than {low}")

    def range(self, path: str, value: int, high: int) -> None:
        """A whole number from 0 to ``high``."""
        if not 0 <= value <= high:
            self.add(path, f"is {value}; it must be from 0 to {high}")

    def unique(self, values: Iterable[tuple[str, str]]) -> None:
        """Pairs of path and value; an empty value may repeat."""
        first: dict[str, str] = {}
        for path, value in values:
            if value and first.setdefault(value, path) != path:
                self.add(path, f"repeats {quoted(value)} of {first[value]}")
