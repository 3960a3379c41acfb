"""SEMVER_EQUAL and the four comparisons of versions."""

# ruff: noqa: E501  # a row of a table is one line
from __future__ import annotations

from sdks.conformance.authoring.suite import MISSING, UNSET, Suite
from sdks.conformance.authoring.tables import OrderRow, orders

BIG = "99999999999999999999"

PRECEDENCE: list[OrderRow] = [
    ("equal", "Both are the same version", "1.2.3", "1.2.3", "="),
    ("major", "The major version decides first", "1.9.9", "2.0.0", "<"),
    ("minor", "The minor version decides next", "2.1.0", "2.0.9", ">"),
    ("patch", "The patch decides last", "2.1.0", "2.1.1", "<"),
    ("not-by-text", "10 is above 9 although its text is before it", "1.10.0", "1.9.0", ">"),
    ("pre-release", "A pre-release is below its release", "1.0.0-alpha", "1.0.0", "<"),
    ("pre-release-other", "A pre-release is above an earlier release", "1.0.1-alpha", "1.0.0", ">"),
    ("more-identifiers", "More identifiers are above", "1.0.0-alpha.1", "1.0.0-alpha", ">"),
    ("number-below-word", "A numeric identifier is below a word", "1.0.0-alpha.1", "1.0.0-alpha.beta", "<"),
    ("word-order", "Words are in ASCII order", "1.0.0-alpha.beta", "1.0.0-beta", "<"),
    ("fewer-identifiers", "Fewer identifiers are below", "1.0.0-beta", "1.0.0-beta.2", "<"),
    ("numeric-identifiers", "Numeric identifiers are compared as numbers", "1.0.0-beta.2", "1.0.0-beta.11", "<"),
    ("rc", "rc is after beta", "1.0.0-rc.1", "1.0.0-beta.11", ">"),
    ("capitals", "Capitals are before small letters", "1.0.0-Z", "1.0.0-a", "<"),
    ("hyphen", "A hyphen is before letters", "1.0.0--", "1.0.0-a", "<"),
    ("digits-and-letters", "Digits with letters are a word", "1.0.0-10a", "1.0.0-9a", "<"),
    ("zero-word", "A word may begin with a zero", "1.0.0-01a", "1.0.0-1a", "<"),
    ("zero-identifier", "0 is an identifier", "1.0.0-0", "1.0.0-1", "<"),
    ("build", "Builds do not count", "1.0.0+a", "1.0.0+b", "="),
    ("build-or-none", "Builds do not count", "1.0.0+a.b-c", "1.0.0", "="),
    ("build-zeros", "A build may begin with a zero", "1.0.0+001", "1.0.0", "="),
    ("pre-release-build", "Builds do not count", "1.0.0-rc.1+5", "1.0.0-rc.1", "="),
    ("big", "Numbers may be of any size", f"{BIG}.0.0", "99999999999999999998.0.0", ">"),
    ("big-length", "Numbers may be of any size", f"{BIG}.0.0", "100000000000000000000.0.0", "<"),
    ("big-identifier", "Numeric identifiers may be of any size", f"1.0.0-{BIG}", "1.0.0-99999999999999999998", ">"),
    ("beyond-double", "Numbers are not doubles", "9007199254740993.0.0", "9007199254740992.0.0", ">"),
]  # fmt: skip

LENIENT: list[OrderRow] = [
    ("v", "A leading v is allowed", "v1.2.3", "1.2.3", "="),
    ("v-operand", "A leading v is allowed in the value", "1.2.3", "v1.2.3", "="),
    ("no-patch", "A missing patch is 0", "1.2", "1.2.0", "="),
    ("no-patch-below", "A missing patch is 0", "1.2", "1.2.1", "<"),
    ("no-minor", "A missing minor version is 0", "1", "1.0.0", "="),
    ("no-minor-operand", "A missing minor version is 0 in the value", "1.0.1", "v1", ">"),
    ("short-pre-release", "A pre-release may follow the major version", "2-rc.1", "2.0.0-rc.1", "="),
    ("short-pre-release-below", "A pre-release is below its release", "1.2-rc.1", "1.2.0", "<"),
    ("short-build", "A build may follow the major version", "1+7", "1.0.0", "="),
    ("number", "The number 1 is written 1", 1.0, "1.0.0", "="),
    ("number-fraction", "The number 1.5 is written 1.5", 1.5, "1.5.0", "="),
    ("number-loses-zero", "The number 1.10 is written 1.1", 1.10, "1.10.0", "<"),
]  # fmt: skip

REFUSED: list[OrderRow] = [
    ("empty", "The empty text is no version", "", "1.0.0", ""),
    ("word", "A word is no version", "latest", "1.0.0", ""),
    ("bare-v", "A v alone is no version", "v", "1.0.0", ""),
    ("capital-v", "Only a small v is allowed", "V1.0.0", "1.0.0", ""),
    ("two-v", "One v is allowed", "vv1.0.0", "1.0.0", ""),
    ("leading-zero-major", "Leading zeros are not allowed", "01.0.0", "1.0.0", ""),
    ("leading-zero-minor", "Leading zeros are not allowed", "1.02.0", "1.0.0", ""),
    ("leading-zero-patch", "Leading zeros are not allowed", "1.0.03", "1.0.0", ""),
    ("leading-zero-identifier", "Numeric identifiers have no leading zeros", "1.0.0-01", "1.0.0", ""),
    ("four-numbers", "There are three numbers at most", "1.2.3.4", "1.0.0", ""),
    ("two-dots", "A number must stand between dots", "1..2", "1.0.0", ""),
    ("trailing-dot", "A number must stand after a dot", "1.2.", "1.0.0", ""),
    ("negative", "A sign is not allowed", "-1.0.0", "1.0.0", ""),
    ("empty-pre-release", "A pre-release is not empty", "1.0.0-", "1.0.0", ""),
    ("empty-identifier", "An identifier is not empty", "1.0.0-a..b", "1.0.0", ""),
    ("empty-build", "A build is not empty", "1.0.0+", "1.0.0", ""),
    ("two-builds", "There is one build", "1.0.0+a+b", "1.0.0", ""),
    ("underscore", "An underscore is not allowed", "1.0.0-a_b", "1.0.0", ""),
    ("non-ascii", "Identifiers are ASCII", "1.0.0-\u00e9", "1.0.0", ""),
    ("arabic-digits", "Only ASCII digits are allowed", "\u0661.0.0", "1.0.0", ""),
    ("blank-before", "Blanks are not ignored", " 1.0.0", "1.0.0", ""),
    ("blank-after", "Blanks are not ignored", "1.0.0 ", "1.0.0", ""),
    ("newline", "Line ends are not ignored", "1.0.0\n", "1.0.0", ""),
    ("range", "A range is no version", ">=1.0.0", "1.0.0", ""),
    ("wildcard", "A wildcard is no version", "1.x", "1.0.0", ""),
    ("exponent", "The number is written 1e+21", 1e21, "1.0.0", ""),
    ("negative-number", "The number is written -1", -1.0, "1.0.0", ""),
    ("boolean", "A boolean is no version", True, "1.0.0", ""),
    ("missing", "A missing attribute is no version", MISSING, "0.0.0", ""),
    ("unset", "An attribute of no kind is a missing one", UNSET, "0.0.0", ""),
    ("no-values", "There is no value to compare with", "1.0.0", (), ""),
    ("operand-word", "The value is no version", "1.0.0", "latest", ""),
    ("operand-empty", "The empty value is no version", "1.0.0", "", ""),
    ("operand-leading-zero", "The value is no version", "1.0.0", "01.0.0", ""),
]  # fmt: skip

SEVERAL: list[OrderRow] = [
    ("several-around", "2.0.0 is between the values", "2.0.0", ("1.0.0", "3.0.0"), "<>"),
    ("several-equal", "2.0.0 is one value and above the other", "2.0.0", ("1.0.0", "2"), "=>"),
    ("several-one-word", "The value that is no version is passed over", "2.0.0", ("x", "3.0.0"), "<"),
    ("list", "One element is below and one above", ("x", "1.0.0", "3.0.0"), "2.0.0", "<>"),
    ("list-equal", "One element is the version", ("x", "v2"), "2.0.0", "="),
    ("list-none", "No element is a version", ("x", ""), "2.0.0", ""),
    ("list-empty", "An empty list has no element", (), "0.0.0", ""),
]  # fmt: skip


def versions() -> Suite:
    """The precedence of SemVer 2.0."""
    suite = Suite("versions", "Versions by the precedence of SemVer 2.0")
    operators = {
        "SEMVER_EQUAL": "=",
        "SEMVER_LESS_THAN": "<",
        "SEMVER_LESS_OR_EQUAL": "<=",
        "SEMVER_GREATER_THAN": ">",
        "SEMVER_GREATER_OR_EQUAL": ">=",
    }
    for rows in (PRECEDENCE, LENIENT, REFUSED, SEVERAL):
        orders(suite, "evaluation 4.9", operators, rows)
    return suite
