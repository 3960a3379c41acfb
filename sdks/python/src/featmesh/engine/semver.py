"""Versions in the order of SemVer 2.0, https://semver.org/#spec-item-11."""

from __future__ import annotations

import re

Version = tuple[object, ...]
"""A version's precedence: compares as SemVer says; build metadata is left out."""

_NUMERIC = r"(0|[1-9][0-9]*)"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"v?{_NUMERIC}(?:\.{_NUMERIC}(?:\.{_NUMERIC})?)?"
    rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)


def parse_version(text: str) -> Version | None:
    """The precedence of a version, or None for a text that is none.

    A leading ``v`` is allowed; a missing minor or patch is 0 (also before a pre-release:
    ``2-rc.1`` is ``2.0.0-rc.1``). Leading zeros are refused, as SemVer does.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        return None
    major, minor, patch, pre_release = found.groups(default="")
    numbers = (_numeric(major), _numeric(minor or "0"), _numeric(patch or "0"))
    if not pre_release:
        return (*numbers, 1)
    return (*numbers, 0, tuple(map(_identifier, pre_release.split("."))))


def _numeric(digits: str) -> tuple[int, str]:
    # Without leading zeros, length and then text order as the numbers do, of any size:
    # int() refuses a text of more than 4,300 digits.
    return len(digits), digits


def _identifier(text: str) -> tuple[int, int, str]:
    return (0, len(text), text) if text.isdigit() else (1, 0, text)
