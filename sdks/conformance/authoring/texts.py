"""EQUAL, IN, CONTAINS, STARTS_WITH, ENDS_WITH and their negations."""

# ruff: noqa: E501  # a row of a table is one line
from __future__ import annotations

import math

from sdks.conformance.authoring.suite import MISSING, UNSET, Attribute, Suite
from sdks.conformance.authoring.tables import TruthRow, Values, truths

GRIN = "\U0001f600"
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f466"

EQUAL: list[TruthRow] = [
    ("same", "Both texts are the same", "pro", "pro", True),
    ("different", "The texts differ", "pro", "free", False),
    ("one-of-several", "One of the values is the text", "free", ("pro", "free"), True),
    ("none-of-several", "None of the values is the text", "trial", ("pro", "free"), False),
    ("longer-operand", "The text is only the start of the value", "pro", "prod", False),
    ("shorter-operand", "The value is only the start of the text", "prod", "pro", False),
    ("upper-case", "Case counts", "Pro", "pro", False),
    ("blank-before", "A blank before the text counts", " pro", "pro", False),
    ("blank-after", "A blank after the text counts", "pro ", "pro", False),
    ("blank-in-operand", "A blank in the value counts", "pro", "pro ", False),
    ("empty", "The empty text equals the empty value", "", "", True),
    ("empty-other", "The empty text is not the value", "", "pro", False),
    ("no-values", "There is no value to equal", "pro", (), False),
    ("missing-empty", "A missing attribute is the empty text", MISSING, "", True),
    ("missing-other", "A missing attribute is the empty text", MISSING, "pro", False),
    ("missing-no-values", "There is no value to equal", MISSING, (), False),
    ("unset-empty", "An attribute of no kind is a missing one", UNSET, "", True),
    ("newline", "A line end counts", "a\n", "a", False),
    ("crlf", "Line ends are not made alike", "a\r\n", "a\n", False),
    ("nul", "NUL is a character like others", "a\x00b", "a\x00b", True),
    ("nul-ends-nothing", "NUL does not end a text", "a\x00b", "a", False),
    ("no-break-space", "A no-break space is not a space", "a\u00a0b", "a b", False),
    ("zero-width-space", "A zero-width space counts", "a\u200bb", "ab", False),
    ("byte-order-mark", "A byte order mark counts", "\ufeffa", "a", False),
    ("percent", "A percent sign is only itself", "a", "%61", False),
]

UNICODE: list[TruthRow] = [
    ("nfc", "Both are the composed letter", "\u00e9", "\u00e9", True),
    ("nfd", "Both are letter and accent", "e\u0301", "e\u0301", True),
    ("nfc-nfd", "Composed and decomposed are not made alike", "\u00e9", "e\u0301", False),
    ("nfd-nfc", "Decomposed and composed are not made alike", "e\u0301", "\u00e9", False),
    ("hangul", "A syllable is not its letters", "\uac01", "\u1100\u1161\u11a8", False),
    ("angstrom", "The Angstrom sign is not the letter", "\u212b", "\u00c5", False),
    ("accent-order", "The order of accents counts", "a\u0323\u0307", "a\u0307\u0323", False),
    ("ligature", "A ligature is not its letters", "\ufb01", "fi", False),
    ("full-width", "A full-width letter is not the letter", "\uff21", "A", False),
    ("sharp-s", "Sharp s is not two letters", "\u00df", "ss", False),
    ("dotless-i", "Dotless i is not i", "\u0131", "i", False),
    ("final-sigma", "Final sigma is not sigma", "\u03c2", "\u03c3", False),
    ("cyrillic-a", "Letters that look alike differ", "\u0430", "a", False),
    ("hebrew", "Right-to-left texts are compared in storage order", "\u05d0\u05d1", "\u05d0\u05d1", True),
    ("astral", "Both are the same character beyond the basic plane", GRIN, GRIN, True),
    ("astral-neighbour", "Only the low surrogates differ", GRIN, "\U0001f601", False),
    ("astral-high", "Only the high surrogates differ", "\U00010400", "\U00010800", False),
    ("last-code-point", "The last code point is a character like others", "\U0010ffff", "\U0010ffff", True),
    ("joined-family", "Joined characters are compared one by one", FAMILY, FAMILY, True),
    ("skin-tone", "A modifier counts", "\U0001f44d", "\U0001f44d\U0001f3fd", False),
    ("presentation", "A variation selector counts", "\u2764", "\u2764\ufe0f", False),
    ("noncharacter", "A noncharacter is compared like others", "\uffff", "\uffff", True),
]  # fmt: skip

NUMBERS: list[TruthRow] = [
    ("number", "The number's shortest text is 10", 10.0, "10", True),
    ("number-fraction-zero", "The number's text has no fraction", 10.0, "10.0", False),
    ("number-half", "The number's shortest text is 0.5", 0.5, "0.5", True),
    ("number-no-leading-dot", "The number's text begins with a digit", 0.5, ".5", False),
    ("number-negative", "The number's text has its sign", -1.5, "-1.5", True),
    ("number-negative-zero", "Negative zero is written 0", -0.0, "0", True),
    ("number-negative-zero-sign", "Negative zero has no sign", -0.0, "-0", False),
    ("number-sum", "17 digits are needed to read back", 0.1 + 0.2, "0.30000000000000004", True),
    ("number-sum-short", "Fewer digits would be another number", 0.1 + 0.2, "0.3", False),
    ("number-tenth", "One digit is enough to read back", 0.1, "0.1", True),
    ("number-1e20", "There is no exponent below 1e21", 1e20, "100000000000000000000", True),
    ("number-1e21", "An exponent from 1e21 has a plus", 1e21, "1e+21", True),
    ("number-1e21-digits", "From 1e21 there is an exponent", 1e21, "1" + "0" * 21, False),
    ("number-1e-6", "There is no exponent down to 1e-6", 1e-6, "0.000001", True),
    ("number-1e-7", "Below 1e-6 there is an exponent", 1e-7, "1e-7", True),
    ("number-1e-7-padded", "An exponent has no leading zero", 1e-7, "1e-07", False),
    ("number-1.5e-9", "Digits before an exponent have one place", 1.5e-9, "1.5e-9", True),
    ("number-17-digits", "Digits beyond 17 are zeros", 1.2345678901234568e17, "123456789012345680", True),
    ("number-2-53", "2^53 is exact", 9007199254740992.0, "9007199254740992", True),
    ("number-smallest", "The smallest double is 5e-324", 5e-324, "5e-324", True),
    ("number-largest", "The largest double is so written", 1.7976931348623157e308, "1.7976931348623157e+308", True),
    ("number-text", "Two texts are not compared as numbers", "10.0", "10", False),
    ("nan", "Not-a-number is written NaN", math.nan, "NaN", True),
    ("infinity", "Infinity is so written", math.inf, "Infinity", True),
    ("negative-infinity", "Negative infinity is so written", -math.inf, "-Infinity", True),
    ("true", "The boolean true is the text true", True, "true", True),
    ("true-capital", "A boolean's text is in lower case", True, "True", False),
    ("true-1", "The boolean true is not 1", True, "1", False),
    ("false", "The boolean false is the text false", False, "false", True),
    ("false-empty", "The boolean false is not empty", False, "", False),
    ("one-true", "The number 1 is not true", 1.0, "true", False),
    ("zero-empty", "The number 0 is not empty", 0.0, "", False),
]  # fmt: skip

LISTS: list[TruthRow] = [
    ("list-one", "One element is the value", ("a", "pro"), "pro", True),
    ("list-none", "No element is the value", ("a", "b"), "pro", False),
    ("list-several-values", "One element is one of the values", ("a", "b"), ("x", "b"), True),
    ("list-joined", "A list is not the text of its elements", ("a", "b"), "a,b", False),
    ("list-empty", "An empty list has no element, not an empty one", (), "", False),
    ("list-of-empty", "An element may be empty", ("",), "", True),
    ("list-no-values", "There is no value to equal", ("a",), (), False),
]

PartRow = tuple[str, str, Attribute, Values, bool, bool, bool]
"""Id, proposition, attribute, values; whether it contains, starts with, ends with one."""

PARTS: list[PartRow] = [
    ("whole", "The value is the whole text", "mesh", "mesh", True, True, True),
    ("start", "The value is at the start only", "mesh", "me", True, True, False),
    ("middle", "The value is in the middle only", "mesh", "es", True, False, False),
    ("end", "The value is at the end only", "mesh", "sh", True, False, True),
    ("absent", "The value is nowhere", "mesh", "x", False, False, False),
    ("scattered", "The value's letters are there, but apart", "mesh", "mh", False, False, False),
    ("longer", "The value is longer than the text", "mesh", "meshes", False, False, False),
    ("both-ends", "The value is at both ends", "abxab", "ab", True, True, True),
    ("overlap", "The value overlaps itself in the text", "aaa", "aa", True, True, True),
    ("upper-case", "Case counts", "mesh", "ME", False, False, False),
    ("empty-value", "The empty value is everywhere", "mesh", "", True, True, True),
    ("empty-both", "The empty value is in the empty text", "", "", True, True, True),
    ("empty-text", "The empty text holds no value", "", "x", False, False, False),
    ("missing-empty", "A missing attribute is the empty text", MISSING, "", True, True, True),
    ("missing", "A missing attribute is the empty text", MISSING, "x", False, False, False),
    ("no-values", "There is no value to find", "mesh", (), False, False, False),
    ("several", "One value is there at each place", "mesh", ("x", "me", "sh"), True, True, True),
    ("several-none", "None of the values is there", "mesh", ("x", "y"), False, False, False),
    ("several-empty", "One of the values is empty", "mesh", ("x", ""), True, True, True),
    ("not-a-pattern", "A dot is only a dot", "mesh", ".", False, False, False),
    ("star", "A star is only a star", "mesh", "*", False, False, False),
    ("backslash", "A backslash is only itself", "a\\b", "\\", True, False, False),
    ("newline", "A line end is a character like others", "a\nb", "\nb", True, False, True),
    ("nul", "NUL is a character like others", "a\x00b", "\x00b", True, False, True),
    ("nfc-nfd", "Composed and decomposed are not made alike", "caf\u00e9", "e\u0301", False, False, False),
    ("nfd-base", "The letter is there before its accent", "cafe\u0301", "e", True, False, False),
    ("nfd-accent", "The accent is a character of its own", "cafe\u0301", "\u0301", True, False, True),
    ("sharp-s", "Sharp s is not two letters", "stra\u00dfe", "ss", False, False, False),
    ("astral", "A character beyond the basic plane is found", f"a{GRIN}", GRIN, True, False, True),
    ("astral-neighbour", "Only the high surrogates are alike", GRIN, "\U0001f601", False, False, False),
    ("family-member", "A joined character is found by itself", FAMILY, "\U0001f469", True, True, False),
    ("number", "A number's text is searched", 12345.0, "234", True, False, False),
    ("number-no-fraction", "A whole number's text has no dot", 10.0, ".", False, False, False),
    ("number-exponent", "The text has an exponent", 1e21, "1e", True, True, False),
    ("boolean", "A boolean's text is searched", True, "tr", True, True, False),
    ("list", "Different elements match at each place", ("me", "x", "esh"), ("esh", "me"), True, True, True),
    ("list-none", "No element matches", ("a", "b"), "c", False, False, False),
    ("list-joined", "Elements are searched one by one", ("a", "b"), "ab", False, False, False),
    ("list-empty", "An empty list has no element", (), "", False, False, False),
]  # fmt: skip


def texts() -> Suite:
    """Everything that compares code points."""
    suite = Suite("texts", "Equality and parts of texts, by code point")
    equality = {"EQUAL": True, "NOT_EQUAL": False, "IN": True, "NOT_IN": False}
    truths(suite, "evaluation 4.4", equality, EQUAL)
    truths(suite, "evaluation 4.4", equality, UNICODE)
    truths(suite, "evaluation 4.3", equality, NUMBERS)
    truths(suite, "evaluation 4.2", equality, LISTS)
    for row_id, says, attribute, values, contains, starts, ends in PARTS:
        row = (row_id, says, attribute, values)
        clause = "evaluation 4.5"
        truths(suite, clause, {"CONTAINS": True, "NOT_CONTAINS": False}, [(*row, contains)])
        truths(suite, clause, {"STARTS_WITH": True}, [(*row, starts)])
        truths(suite, clause, {"ENDS_WITH": True}, [(*row, ends)])
    return suite
