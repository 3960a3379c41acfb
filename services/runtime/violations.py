"""Collects what is wrong with a request, so that its caller learns all of it at once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from services.runtime.errors import InvalidArgument, Violation

KEY_PATTERN: Final = r"[a-zA-Z0-9._-]{1,128}"
"""What the key of a resource must match, whole."""

_KEY: Final = re.compile(KEY_PATTERN)

_QUOTED_CHARACTERS: Final = 64
"""Most characters of a caller's text that a message repeats."""


def quoted(text: str) -> str:
    """Returns the text for a message: in quotes, printable, bounded."""
    shown = text if len(text) <= _QUOTED_CHARACTERS else text[:_QUOTED_CHARACTERS] + "…"
    return ascii(shown) if not shown.isprintable() else f"'{shown}'"


class Violations:
    """Violations found so far. Paths are proto field names from the request down."""

    def __init__(self) -> None:
        self._found: list[Violation] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Violation]:
        return iter(self._found)

    def add(self, path: str, description: str) -> None:
        """Adds one."""
        self._found.append(Violation(path, description))

    def extend(self, found: Iterable[Violation]) -> None:
        """Adds several."""
        self._found.extend(found)

    def finish(self) -> None:
        """Raises `InvalidArgument` with everything that was found, if anything was."""
        if self._found:
            raise InvalidArgument(self._found)

    def key(self, path: str, value: str) -> None:
        """Checks the key of a flag, segment, environment, project or organization."""
        if not _KEY.fullmatch(value):
            self.add(path, f"is {quoted(value)}; a key must match ^{KEY_PATTERN}$")

    def text(self, path: str, value: str, high: int, *, low: int = 0) -> None:
        """Checks for ``low`` to ``high`` bytes of UTF-8."""
        size = len(value.encode())
        if size > high:
            self.add(path, f"has {size} bytes; the limit is {high}")
        elif size < low:
            self.add(path, "is required" if size == 0 else f"has {size} bytes, fewer than {low}")

    def line(self, path: str, value: str) -> None:
        """Checks a text that is shown on one line: without control characters."""
        if not value.isprintable() and any(unicodedata.category(c) == "Cc" for c in value):
            self.add(path, "holds a control character")

    def count(self, path: str, size: int, high: int, *, low: int = 0) -> None:
        """Checks the length of a list."""
        if size > high:
            self.add(path, f"has {size} entries; the limit is {high}")
        elif size < low:
            self.add(path, "is required" if low == 1 else f"has {size} entries, fewer than {low}")

    def unique(self, values: Iterable[tuple[str, str]]) -> None:
        """Checks pairs of path and value for repeated values; an empty value may repeat."""
        first: dict[str, str] = {}
        for path, value in values:
            if value and first.setdefault(value, path) != path:
                self.add(path, f"repeats {quoted(value)} of {first[value]}")
