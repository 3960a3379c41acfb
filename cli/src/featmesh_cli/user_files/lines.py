"""Lines of a file, counted and bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, Final

MAX_LINE_BYTES: Final = 3 * 1024 * 1024
"""What fits into one chunk of an import, with room for the names of fields."""

_READ_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was not taken: where, which field, and what is wrong with the limit."""

    line: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its number, from 1; ``text`` is None when ``fault`` says why."""

    number: int
    text: str | None
    fault: str = ""


class Lines:
    """Reads a file in UTF-8, with or without a byte order mark.

    ``progress`` is called with the number of bytes that were read.
    """

    def __init__(self, file: IO[bytes], progress: Callable[[int], None] = lambda _: None) -> None:
        self._file = file
        self._progress = progress
        self._number = 0
        self._returned: deque[Line] = deque()

    def next(self) -> Line | None:
        """The next line with its end, None after the last."""
        if self._returned:
            return self._returned.popleft()
        raw = self._file.readline(MAX_LINE_BYTES + 1)
        if not raw:
            return None
        self._number += 1
        self._progress(len(raw))
        if len(raw) > MAX_LINE_BYTES:
            self._skip_rest(raw)
            return Line(self._number, None, f"is longer than {MAX_LINE_BYTES} bytes")
        try:
            return Line(self._number, raw.decode("utf-8-sig" if self._number == 1 else "utf-8"))
        except UnicodeDecodeError:
            return Line(self._number, None, "is not valid UTF-8")

    def give_back(self, lines: Iterable[Line]) -> None:
        """To be read again, before all others."""
        self._returned.extendleft(reversed(list(lines)))

    def _skip_rest(self, raw: bytes) -> None:
        while raw and not raw.endswith(b"\n"):
            raw = self._file.readline(_READ_BYTES)
            self._progress(len(raw))
