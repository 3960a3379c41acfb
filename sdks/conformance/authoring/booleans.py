"""IS_TRUE and IS_FALSE."""

# ruff: noqa: E501  # a row of a table is one line
from __future__ import annotations

import math

from sdks.conformance.authoring.suite import MISSING, UNSET, Attribute, Suite
from sdks.conformance.authoring.tables import Values, truths

BooleanRow = tuple[str, str, Attribute, Values, bool, bool]
"""Id, proposition, attribute, values, whether IS_TRUE and IS_FALSE hold."""

ROWS: list[BooleanRow] = [
    ("true", "The attribute is true", True, (), True, False),
    ("false", "The attribute is false", False, (), False, True),
    ("true-text", "The text is true", "true", (), True, False),
    ("true-upper", "The text is true in upper case", "TRUE", (), True, False),
    ("true-capital", "The text is true with a capital", "True", (), True, False),
    ("true-mixed", "The text is true in mixed case", "tRuE", (), True, False),
    ("false-text", "The text is false", "false", (), False, True),
    ("false-upper", "The text is false in upper case", "FALSE", (), False, True),
    ("false-mixed", "The text is false in mixed case", "fAlSe", (), False, True),
    ("blank-before", "Blanks are not ignored", " true", (), False, False),
    ("blank-after", "Blanks are not ignored", "false ", (), False, False),
    ("newline", "Line ends are not ignored", "true\n", (), False, False),
    ("empty", "The empty text is neither", "", (), False, False),
    ("one-text", "1 is neither", "1", (), False, False),
    ("zero-text", "0 is neither", "0", (), False, False),
    ("one", "The number 1 is neither", 1.0, (), False, False),
    ("zero", "The number 0 is neither", 0.0, (), False, False),
    ("nan", "NaN is neither", math.nan, (), False, False),
    ("yes", "yes is neither", "yes", (), False, False),
    ("on", "on is neither", "on", (), False, False),
    ("letter", "t is neither", "t", (), False, False),
    ("word", "A longer word is neither", "truel", (), False, False),
    ("null", "null is neither", "null", (), False, False),
    ("full-width", "Full-width letters are not ASCII", "\uff54\uff52\uff55\uff45", (), False, False),
    ("cyrillic", "Letters that look alike differ", "tru\u0435", (), False, False),
    ("long-s", "Long s is not s in another case", "fal\u017fe", (), False, False),
    ("missing", "A missing attribute is neither", MISSING, (), False, False),
    ("unset", "An attribute of no kind is a missing one", UNSET, (), False, False),
    ("list-true", "One element is true", ("x", "TRUE"), (), True, False),
    ("list-both", "One element is true and one false", ("true", "false"), (), True, True),
    ("list-neither", "No element is either", ("x", ""), (), False, False),
    ("list-empty", "An empty list has no element", (), (), False, False),
    ("values-ignored", "Values are ignored", True, "false", True, False),
    ("values-ignored-false", "Values are ignored", False, ("true", "x"), False, True),
]  # fmt: skip


def booleans() -> Suite:
    """Booleans, and the texts that are read as one."""
    suite = Suite("booleans", "Booleans, and texts that are booleans")
    for row_id, says, attribute, values, is_true, is_false in ROWS:
        row = (row_id, says, attribute, values)
        truths(suite, "evaluation 4.8", {"IS_TRUE": True}, [(*row, is_true)])
        truths(suite, "evaluation 4.8", {"IS_FALSE": True}, [(*row, is_false)])
    return suite
