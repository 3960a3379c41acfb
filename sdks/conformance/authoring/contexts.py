"""Contexts: their keys' limits and their own fields."""

# ruff: noqa: E501  # a row of a table is one line
from __future__ import annotations

from sdks.conformance.authoring.suite import (
    UNSET,
    Json,
    Suite,
    condition,
    context,
    failed,
    flag,
    serve,
    served,
)

ASTRAL = {"\U0001f600": "x"}
COMPOSED = {"\u00e9": "x"}
DOTTED = {"a.b": "x"}


def contexts() -> Suite:
    """Which contexts are valid, and how conditions read them."""
    suite = Suite("contexts", "Contexts: keys, names and attributes")
    _keys(suite)
    _fields(suite)
    return suite


def _keys(suite: Suite) -> None:
    suite.add(
        flag("everybody"),
        flag("disabled", enabled=False),
        flag("archived", archived=True),
        flag("malformed", fallthrough=serve("gone")),
    )
    invalid, clause = failed("INVALID_CONTEXT"), "evaluation 2.2"
    for case_id, says, key, valid in [
        ("one-byte", "A key of one byte is long enough.", "x", True),
        ("512-bytes", "A key of 512 bytes is short enough.", "x" * 512, True),
        ("513-bytes", "A key of 513 bytes is too long.", "x" * 513, False),
        ("empty", "A key is not empty.", "", False),
        ("blank", "A blank is a key.", " ", True),
        ("nul", "NUL is a key.", "\x00", True),
        ("two-byte", "256 characters of two bytes are 512 bytes.", "\u00e9" * 256, True),
        ("two-byte-long", "257 characters of two bytes are too long.", "\u00e9" * 257, False),
        ("astral", "128 characters of four bytes are 512 bytes.", "\U0001f600" * 128, True),
        ("astral-long", "129 characters of four bytes are too long.", "\U0001f600" * 129, False),
    ]:
        expected = served("no", "FALLTHROUGH") if valid else invalid
        suite.case(f"key/{case_id}", says, clause, "everybody", context(key), expected)
    for case_id, says, key, expected in [
        ("disabled", "An invalid context comes before a disabled flag.", "disabled", invalid),
        ("malformed", "An invalid context comes before a malformed flag.", "malformed", invalid),
        ("unknown", "An unknown flag comes before an invalid context.", "nowhere", failed("FLAG_NOT_FOUND")),
        ("archived", "An archived flag comes before an invalid context.", "archived", failed("FLAG_NOT_FOUND")),
    ]:  # fmt: skip
        suite.case(f"invalid/{case_id}", says, clause, key, context(""), expected)


def _fields(suite: Suite) -> None:
    def equal(attribute: str, value: str) -> Json:
        return condition("EQUAL", value, attribute=attribute)

    shadowed = context("alice", "Alice", key="x", keyId="x", name="x")
    nameless = context("alice", "", name="x")
    long_text = context(a="x" * 5_000 + "y")
    for case_id, says, tested, whom, holds in [
        ("key", "The attribute key is the context's key", equal("key", "alice"), context(), True),
        ("key-id", "The attribute keyId is the context's key", equal("keyId", "alice"), context(), True),
        ("name", "The attribute name is the context's name", equal("name", "Alice"), context("a", "Alice"), True),
        ("no-name", "A missing name is the empty text", equal("name", ""), nameless, True),
        ("key-shadow", "An attribute named key is not seen", equal("key", "x"), shadowed, False),
        ("key-id-shadow", "An attribute named keyId is not seen", equal("keyId", "x"), shadowed, False),
        ("name-shadow", "An attribute named name is not seen", equal("name", "x"), shadowed, False),
        ("no-name-shadow", "An attribute named name is not seen", equal("name", ""), context("alice", "", name="x"), True),
        ("key-case", "Case counts in the names of attributes", equal("Key", "alice"), context(), False),
        ("keyid-case", "Case counts in keyId", equal("keyid", "alice"), context(), False),
        ("attribute-case", "Case counts in the names of attributes", equal("A", "x"), context(a="x"), False),
        ("attribute-nfd", "Names of attributes are compared by code point",
         equal("e\u0301", "x"), context(**COMPOSED), False),
        ("attribute-astral", "The name of an attribute is any text",
         equal("\U0001f600", "x"), context(**ASTRAL), True),
        ("attribute-dot", "A dot in a name is a character", equal("a.b", "x"), context(**DOTTED), True),
        ("attribute-path", "A dot in a name leads nowhere", equal("a.b", "x"), context(a="x"), False),
        ("key-number", "A key is a text that may be a number",
         condition("GREATER_THAN", "9", attribute="key"), context("10"), True),
        ("key-version", "A key is a text that may be a version",
         condition("SEMVER_EQUAL", "1.0.0", attribute="key"), context("v1"), True),
        ("key-true", "A key is a text that may be a boolean",
         condition("IS_TRUE", attribute="key"), context("TRUE"), True),
        ("unset", "An attribute of no kind is a missing one", equal("a", ""), context(a=UNSET), True),
        ("long-text", "An engine takes texts of any length", condition("ENDS_WITH", "xy"), long_text, True),
    ]:  # fmt: skip
        suite.holds(f"field/{case_id}", says, "evaluation 1.3", tested, whom, holds)
