"""Patterns in RE2's syntax, which match in linear time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True  # whether it is found is all that is asked


def valid_pattern(text: str) -> bool:
    """Whether RE2 accepts the pattern; what it refuses never matches in an engine."""
    return _compile(text) is not None


def compile_pattern(text: str) -> Callable[[str], bool] | None:
    """A test that finds the pattern anywhere in a text, or None if RE2 refuses it."""
    pattern = _compile(text)
    if pattern is None:
        return None
    search = pattern.search

    def found(candidate: str) -> bool:
        # Bytes, because the binding otherwise maps every offset back to characters.
        return search(candidate.encode("utf-8", "surrogatepass")) is not None

    return found


def _compile(text: str) -> Any:
    try:
        return re2.compile(text, _OPTIONS)
    except (re2.error, UnicodeEncodeError):
        return None
