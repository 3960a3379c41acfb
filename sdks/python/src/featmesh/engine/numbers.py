"""Numbers: how one becomes text, and which texts are one."""

from __future__ import annotations

import math
import re
import sys

_NUMBER = re.compile(r"[ \t\r\n]*([+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)[ \t\r\n]*")
EXACT_INTEGER = 1 << 53
"""Every integer up to this one, and down to its negative, is a double."""

Range = tuple[float, float]
"""The least and the greatest double of a range, both included."""

_MAXIMUM = sys.float_info.max


def number_text(value: float) -> str:
    """The shortest text that reads back as the same double: ``10``, ``0.5``, ``1e+21``.

    These are the rules of ECMAScript's Number::toString, so that every language has one
    to copy: an exponent from 1e21 up and below 1e-6, negative zero is ``0``, and what is
    not finite is ``NaN``, ``Infinity`` or ``-Infinity``.
    """
    if isinstance(value, int) and -EXACT_INTEGER <= value <= EXACT_INTEGER:
        return str(int(value))
    number = as_double(value)
    if not math.isfinite(number):
        return _not_finite_text(number)
    if number == 0:
        return "0"
    return _finite_text(number)


def parse_number(value: object) -> float | None:
    """The finite double that an attribute or operand stands for, or None.

    A text is an optional sign, digits, and an optional fraction and exponent; spaces,
    tabs and line ends around it are ignored. A boolean is not a number.
    """
    if isinstance(value, str):
        found = _NUMBER.fullmatch(value)
        return None if found is None else _finite(float(found[1]))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(as_double(value))
    return None


def below(bound: float, *, included: bool) -> Range:
    """The finite doubles below the bound, itself too where it is included."""
    return -_MAXIMUM, bound if included else math.nextafter(bound, -math.inf)


def above(bound: float, *, included: bool) -> Range:
    """The finite doubles above the bound, itself too where it is included."""
    return bound if included else math.nextafter(bound, math.inf), _MAXIMUM


def in_range(number: float, limits: Range) -> bool:
    """Whether the range holds the number."""
    return limits[0] <= number <= limits[1]


def as_double(value: float) -> float:
    """The value as a double; an integer beyond its range is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _not_finite_text(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _finite_text(number: float) -> str:
    # repr gives the shortest digits; only the place of the exponent differs.
    text = repr(number)
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text.removesuffix(".0")
    sign = "-" if number < 0 else ""
    digits = mantissa.lstrip("-").replace(".", "")
    power = int(exponent)
    if 0 < power < 21:
        return sign + digits.ljust(power + 1, "0")
    if -7 < power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    return f"{mantissa}e{power:+d}"
