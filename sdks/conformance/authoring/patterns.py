"""MATCHES and NOT_MATCHES."""

# ruff: noqa: E501  # a row of a table is one line
from __future__ import annotations

from sdks.conformance.authoring.suite import MISSING, Suite
from sdks.conformance.authoring.tables import TruthRow, truths

HOST = "shop.example.com"

SYNTAX: list[TruthRow] = [
    ("anywhere", "A pattern is searched anywhere", HOST, "example", True),
    ("absent", "The pattern is found nowhere", HOST, "test", False),
    ("case", "Case counts", HOST, "Shop", False),
    ("ignore-case", "The pattern ignores case", HOST, "(?i)SHOP", True),
    ("start", "The pattern is anchored at the start", HOST, "^shop", True),
    ("start-absent", "The start is something else", HOST, "^example", False),
    ("end", "The pattern is anchored at the end", HOST, "com$", True),
    ("end-absent", "The end is something else", HOST, "example$", False),
    ("absolute-anchors", "The whole text is matched", "ab", "\\Aab\\z", True),
    ("end-before-newline", "$ is the end of the text, not before a line end", "a\n", "a$", False),
    ("multi-line", "With the flag m, $ is the end of a line", "a\nb", "(?m)a$", True),
    ("dot-newline", "A dot is no line end", "a\nb", "a.b", False),
    ("dot-all", "With the flag s, a dot is a line end too", "a\nb", "(?s)a.b", True),
    ("alternatives", "One alternative is found", "free", "^(pro|free)$", True),
    ("class", "A character of the class is found", "b7", "[0-9]", True),
    ("negated-class", "No character is outside of the class", "777", "[^0-9]", False),
    ("counted", "Three are within two to three", "aaa", "^a{2,3}$", True),
    ("counted-too-many", "Four are beyond two to three", "aaaa", "^a{2,3}$", False),
    ("lazy", "A lazy repetition is found", "abc", "a.*?c", True),
    ("word-boundary", "The word stands by itself", "a pro b", "\\bpro\\b", True),
    ("word-boundary-absent", "The letters are within a word", "approve", "\\bpro\\b", False),
    ("named-group", "A named group is syntax of RE2", "abc", "(?P<first>a)b", True),
    ("quoted", "A quoted dot is only a dot", "a.b", "\\Qa.b\\E", True),
    ("quoted-other", "A quoted dot is no other character", "axb", "\\Qa.b\\E", False),
    ("nul", "NUL can be searched", "a\x00b", "\\x00", True),
    ("empty-pattern", "The empty pattern is found everywhere", "a", "", True),
    ("linear-time", "Nested repetitions cost linear time", "a" * 500 + "!", "^(a+)+$", False),
]

UNICODE: list[TruthRow] = [
    ("digit-class", "\\d is an ASCII digit", "\u0661", "\\d", False),
    ("digit-property", "The property Nd is a digit of any script", "\u0661", "\\p{Nd}", True),
    ("word-class", "\\w is an ASCII word character", "\u00e9", "\\w", False),
    ("letter-property", "The property L is a letter of any script", "\u00e9", "^\\pL$", True),
    ("space-class", "\\s is an ASCII blank", "\u00a0", "\\s", False),
    ("script", "The letter is of the script", "\u03b1", "\\p{Greek}", True),
    ("script-other", "The letter is of another script", "a", "\\p{Greek}", False),
    ("astral-one", "A character beyond the basic plane is one", "\U0001f600", "^.$", True),
    ("astral-not-two", "A character beyond the basic plane is not two", "\U0001f600", "^..$", False),
    ("astral-escape", "A code point is written in hexadecimal", "\U0001f600", "\\x{1F600}", True),
    ("nfd-two", "A letter and its accent are two characters", "e\u0301", "^..$", True),
    ("nfc-nfd", "Composed and decomposed are not made alike", "\u00e9", "e\u0301", False),
    ("fold-sigma", "Ignoring case, final sigma is sigma", "\u03c2", "(?i)\u03c3", True),
    ("fold-kelvin", "Ignoring case, the Kelvin sign is k", "\u212a", "(?i)k", True),
    ("fold-sharp-s", "Ignoring case keeps the number of characters", "\u00df", "(?i)ss", False),
]  # fmt: skip

REFUSED: list[TruthRow] = [
    ("lookahead", "RE2 refuses looking ahead", "ab", "a(?=b)", False),
    ("negative-lookahead", "RE2 refuses looking ahead", "ab", "a(?!c)", False),
    ("lookbehind", "RE2 refuses looking behind", "ab", "(?<=a)b", False),
    ("back-reference", "RE2 refuses back references", "aa", "(a)\\1", False),
    ("atomic-group", "RE2 refuses atomic groups", "a", "(?>a)", False),
    ("possessive", "RE2 refuses possessive repetitions", "a", "a++", False),
    ("open-group", "RE2 refuses an open group", "(", "(", False),
    ("open-class", "RE2 refuses an open class", "[a", "[a", False),
    ("bare-star", "RE2 refuses a repetition of nothing", "*", "*", False),
    ("too-many-repetitions", "RE2 refuses more than 1000 repetitions", "x" * 1001, "x{1001}", False),
    ("end-escape", "RE2 refuses \\Z", "a", "a\\Z", False),
    ("java-escape", "RE2 refuses \\u", "a", "\\u0061", False),
    ("comment", "RE2 refuses comments", "a", "a(?#b)", False),
    ("trailing-backslash", "RE2 refuses a backslash at the end", "a\\", "a\\", False),
    ("one-refused-of-two", "The other pattern is found", "pro", ("(", "pro"), True),
    ("all-refused", "RE2 refuses both patterns", "pro", ("(", ")"), False),
]  # fmt: skip

ATTRIBUTES: list[TruthRow] = [
    ("several", "One of the patterns is found", "b", ("^a", "^b"), True),
    ("several-none", "None of the patterns is found", "c", ("^a", "^b"), False),
    ("no-values", "There is no pattern to find", "a", (), False),
    ("missing-empty-pattern", "A missing attribute is the empty text", MISSING, "", True),
    ("missing-anchors", "A missing attribute is the empty text", MISSING, "^$", True),
    ("missing-dot", "A missing attribute has no character", MISSING, ".", False),
    ("number", "A number's text is searched", 10.0, "^10$", True),
    ("number-no-fraction", "A whole number's text has no dot", 10.0, "\\.", False),
    ("boolean", "A boolean's text is searched", False, "^false$", True),
    ("list", "One element matches", ("a", "b7"), "[0-9]", True),
    ("list-none", "No element matches", ("a", "b"), "[0-9]", False),
    ("list-anchors", "Each element is a text of its own", ("a", "b"), "^b$", True),
    ("list-empty", "An empty list has no element", (), "", False),
]


def patterns() -> Suite:
    """What RE2 finds and what it refuses."""
    suite = Suite("patterns", "Patterns in the syntax of RE2")
    for rows in (SYNTAX, UNICODE, REFUSED, ATTRIBUTES):
        truths(suite, "evaluation 4.6", {"MATCHES": True, "NOT_MATCHES": False}, rows)
    return suite
