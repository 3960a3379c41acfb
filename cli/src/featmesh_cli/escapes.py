"""Texts that a terminal shows and does not obey."""

from __future__ import annotations

import unicodedata
from typing import Final

_ESCAPED: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of controls, of what turns the writing direction, and of line ends."""

_JOINERS: Final = "\u200c\u200d"
"""Format characters that only form words and emoji."""


def printable(text: str, *, kept: str = "") -> str:
    """Returns the text with each control character as JSON writes it, by its number.

    Args:
        text: From anywhere.
        kept: Controls to leave as they are.
    """
    if text.isprintable():
        return text
    return "".join(each if _is_harmless(each, kept) else _escape(each) for each in text)


def _is_harmless(character: str, kept: str) -> bool:
    if character in kept or character in _JOINERS:
        return True
    return unicodedata.category(character) not in _ESCAPED


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
