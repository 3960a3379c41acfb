"""LESS_THAN, LESS_OR_EQUAL, GREATER_THAN, GREATER_OR_EQUAL."""

from __future__ import annotations

import math

from sdks.conformance.authoring.suite import MISSING, UNSET, Suite
from sdks.conformance.authoring.tables import OrderRow, orders

COMPARED: list[OrderRow] = [
    ("below", "5 is below 6", 5.0, "6", "<"),
    ("equal", "6 is 6", 6.0, "6", "="),
    ("above", "7 is above 6", 7.0, "6", ">"),
    ("negative", "-2 is below -1", -2.0, "-1", "<"),
    ("not-by-text", "10 is above 9 although its text is before it", 10.0, "9", ">"),
    ("fraction", "2.5 is above 2.25", 2.5, "2.25", ">"),
    ("negative-zero", "Negative zero is zero", -0.0, "0", "="),
    ("negative-zero-operand", "Negative zero is zero", 0.0, "-0", "="),
    ("double", "The sum of 0.1 and 0.2 is above 0.3", 0.1 + 0.2, "0.3", ">"),
    ("double-exact", "Both are the same double", 0.1 + 0.2, "0.30000000000000004", "="),
    ("same-double", "Both texts read as 2^53", "9007199254740993", "9007199254740992", "="),
    ("smallest", "The smallest double is above zero", 5e-324, "0", ">"),
    ("underflow", "A text too small for a double reads as zero", "1e-400", "0", "="),
    ("largest", "The largest double is finite", 1.7976931348623157e308, "1e308", ">"),
    ("many-digits", "A long text is a number", "1" + "0" * 300, "1e299", ">"),
]

TEXTS: list[OrderRow] = [
    ("text", "The text 22 is the number", "22", "22", "="),
    ("text-fraction", "22.0 and 22 are one number", "22.0", "22", "="),
    ("plus", "A plus is allowed", "+5", "5", "="),
    ("minus", "A minus is a sign", "-5", "5", "<"),
    ("leading-zeros", "Leading zeros are allowed", "007", "7", "="),
    ("exponent", "1e3 is 1000", "1e3", "1000", "="),
    ("capital-exponent", "1E3 is 1000", "1E3", "1000", "="),
    ("plus-exponent", "1e+3 is 1000", "1e+3", "1000", "="),
    ("minus-exponent", "1.5e-3 is 0.0015", "1.5e-3", "0.0015", "="),
    ("spaces", "Spaces around are ignored", "  7 ", "7", "="),
    ("tab-and-lines", "Tabs and line ends around are ignored", "\t7\r\n", "7", "="),
    ("operand-blanks", "Blanks around the value are ignored", 7.0, " 7\t", "="),
    ("operand-exponent", "The value may have an exponent", 2500.0, "2.5e3", "="),
    ("empty", "The empty text is no number", "", "0", ""),
    ("blank", "A blank is no number", " ", "0", ""),
    ("word", "A word is no number", "seven", "7", ""),
    ("leading-dot", "A digit must stand before the dot", ".5", "0.5", ""),
    ("trailing-dot", "A digit must stand after the dot", "5.", "5", ""),
    ("open-exponent", "A digit must stand after the e", "1e", "1", ""),
    ("bare-exponent", "A digit must stand before the e", "e3", "1", ""),
    ("fraction-exponent", "An exponent is whole", "1e0.5", "1", ""),
    ("two-signs", "One sign is allowed", "--1", "1", ""),
    ("sign-apart", "A blank between sign and digits is not allowed", "- 1", "1", ""),
    ("two-numbers", "Two numbers are no number", "1 2", "1", ""),
    ("comma", "A comma is not allowed", "1,000", "1", ""),
    ("underscore", "An underscore is not allowed", "1_000", "1", ""),
    ("hexadecimal", "Hexadecimal digits are not allowed", "0x10", "16", ""),
    ("hexadecimal-letters", "Hexadecimal digits are not allowed", "ff", "255", ""),
    ("double-suffix", "A type suffix is not allowed", "1d", "1", ""),
    ("percent", "A unit is not allowed", "5%", "5", ""),
    ("no-break-space", "Only ASCII blanks are ignored", "\u00a07", "7", ""),
    ("vertical-tab", "Only space, tab and line ends are ignored", "\x0b7", "7", ""),
    ("form-feed", "Only space, tab and line ends are ignored", "7\x0c", "7", ""),
    ("nul", "NUL is not allowed", "7\x00", "7", ""),
    ("arabic-digits", "Only ASCII digits are allowed", "\u0665", "5", ""),
    ("full-width-digits", "Only ASCII digits are allowed", "\uff15", "5", ""),
    ("minus-sign", "The minus sign of mathematics is not allowed", "\u22125", "5", ""),
    ("fraction-character", "One half as a character is not allowed", "\u00bd", "0.5", ""),
    ("nan-text", "NaN is no number", "NaN", "0", ""),
    ("infinity-text", "Infinity is not finite", "Infinity", "0", ""),
    ("inf-text", "inf is no number", "inf", "0", ""),
    ("overflow", "A text too large for a double is not finite", "1e400", "0", ""),
    ("negative-overflow", "A text too small for a double is not finite", "-1e400", "0", ""),
    ("overflow-digits", "400 digits are not finite", "9" * 400, "0", ""),
    ("true-text", "The text true is no number", "true", "1", ""),
]

ODD: list[OrderRow] = [
    ("missing", "A missing attribute is no number", MISSING, "0", ""),
    ("unset", "An attribute of no kind is a missing one", UNSET, "0", ""),
    ("true", "A boolean is no number", True, "1", ""),
    ("false", "A boolean is no number", False, "0", ""),
    ("nan", "NaN is no number", math.nan, "0", ""),
    ("infinity", "Infinity is not finite", math.inf, "0", ""),
    ("negative-infinity", "Infinity is not finite", -math.inf, "0", ""),
    ("no-values", "There is no value to compare with", 5.0, (), ""),
    ("operand-word", "The value is no number", 5.0, "five", ""),
    ("operand-empty", "The empty value is no number", 5.0, "", ""),
    ("operand-nan", "The value is no number", 5.0, "NaN", ""),
    ("operand-overflow", "The value is not finite", 5.0, "1e400", ""),
    ("operand-negative-overflow", "The value is not finite", 5.0, "-1e400", ""),
    ("operand-boolean", "The value is no number", 1.0, "true", ""),
    ("several-around", "5 is above 1 and below 9", 5.0, ("1", "9"), "<>"),
    ("several-above", "5 is below both", 5.0, ("7", "9"), "<"),
    ("several-below", "5 is above both", 5.0, ("1", "3"), ">"),
    ("several-equal", "5 is one value and below the other", 5.0, ("5", "9"), "<="),
    ("several-one-word", "The value that is no number is passed over", 5.0, ("x", "9"), "<"),
    ("list", "3 is below 8 and 9 above it", ("x", "3", "9"), "8", "<>"),
    ("list-below", "All numbers in the list are below 8", ("3", "x"), "8", "<"),
    ("list-equal", "One element is 8", ("x", " 8.0 "), "8", "="),
    ("list-no-number", "No element is a number", ("x", "", "1e400"), "8", ""),
    ("list-empty", "An empty list has no element", (), "0", ""),
]


def numbers() -> Suite:
    """Doubles, and the texts that are read as one."""
    suite = Suite("numbers", "Numbers, and texts that are numbers")
    operators = {
        "LESS_THAN": "<",
        "LESS_OR_EQUAL": "<=",
        "GREATER_THAN": ">",
        "GREATER_OR_EQUAL": ">=",
    }
    for rows in (COMPARED, TEXTS, ODD):
        orders(suite, "evaluation 4.7", operators, rows)
    return suite
