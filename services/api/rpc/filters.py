"""Filters of lists: a subset of AIP-160, parsed into the store's predicates.

``tags:checkout AND (enabled = true OR display_name:search) AND NOT key = "old"``
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, NoReturn

from services.runtime.errors import InvalidArgument
from services.runtime.violations import quoted
from services.storage.model.queries import (
    And,
    Contains,
    Equals,
    HasTag,
    Not,
    Or,
    OrderBy,
    Predicate,
    StartsWith,
)
from services.storage.model.resource import AnyKind

TERMS: Final = 50
"""Most comparisons in one filter."""

TAGS: Final = "tags"

_TOKEN: Final = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<op>!=|=|:)|(?P<paren>[()])|(?P<word>[^\s()=:!"]+))'
)
_ESCAPE: Final = re.compile(r"\\(.)")


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse_filter(text: str, kind: AnyKind, *, has_tags: bool) -> Predicate | None:
    """Returns the predicate that ``text`` says of resources of ``kind``; None for no text.

    ``=`` and ``!=`` compare; ``:`` asks for a part of a text, for a tag, or, where the value
    ends in ``*``, for a beginning. Raises `InvalidArgument` with the position of the fault.
    """
    return parse_predicate(text, kind.filters, has_tags=has_tags)


def parse_predicate(
    text: str, fields: Mapping[str, type], *, has_tags: bool = False
) -> Predicate | None:
    """Returns as `parse_filter` what ``text`` says of these ``fields`` of these types."""
    if not text.strip():
        return None
    return _Parser(text, fields, has_tags=has_tags).parse()


def parse_order(text: str) -> tuple[OrderBy, bool]:
    """Returns what to sort by, and whether descending; raises `InvalidArgument`."""
    field, _, direction = text.strip().partition(" ")
    known = ", ".join(OrderBy)
    if field and field not in set(OrderBy):
        raise InvalidArgument.of("order_by", f"names {quoted(field)}; it may name {known}")
    if direction.strip() not in {"", "asc", "desc"}:
        raise InvalidArgument.of("order_by", f"ends in {quoted(direction)}; say asc or desc")
    return OrderBy(field or OrderBy.KEY), direction.strip() == "desc"


class _Parser:
    """Recursive descent: OR binds weaker than AND, NOT binds strongest."""

    def __init__(self, text: str, fields: Mapping[str, type], *, has_tags: bool) -> None:
        self._text = text.rstrip()
        self._fields = fields
        self._has_tags = has_tags
        self._tokens = self._split(self._text)
        self._next = 0
        self._terms = 0

    def parse(self) -> Predicate:
        found = self._either()
        if self._next < len(self._tokens):
            self._fail(f"{quoted(self._tokens[self._next].text)} is not expected here")
        return found

    def _split(self, text: str) -> list[_Token]:
        tokens, position = [], 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                position += len(text[position:]) - len(text[position:].lstrip())
                self._fail_at(position, f"{quoted(text[position])} is not expected here")
            kind = match.lastgroup
            tokens.append(_Token(kind, match.group(kind), match.start(kind)))
            position = match.end()
        return tokens

    def _either(self) -> Predicate:
        parts = [self._both()]
        while self._takes("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _both(self) -> Predicate:
        parts = [self._term()]
        while self._takes("AND") or self._begins_term():
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _term(self) -> Predicate:
        self._terms += 1
        if self._terms > TERMS:
            self._fail(f"has more than {TERMS} comparisons")
        if self._takes("NOT"):
            return Not(self._term())
        if self._takes("("):
            found = self._either()
            if not self._takes(")"):
                self._fail("a closing parenthesis is missing")
            return found
        return self._comparison()

    def _comparison(self) -> Predicate:
        field = self._take("word", "the name of a field")
        if field.text == TAGS and self._has_tags:
            self._take_operator({":"})
            return HasTag(self._value())
        type_ = self._fields.get(field.text)
        if type_ is None:
            known = ", ".join(dict.fromkeys([*self._fields, *([TAGS] if self._has_tags else [])]))
            self._fail_at(field.position, f"names {quoted(field.text)}; it may name {known}")
        if type_ is bool:
            operator = self._take_operator({"=", "!="})
            return _negated(operator, Equals(field.text, self._boolean()))
        operator = self._take_operator({"=", "!=", ":"})
        value = self._value()
        if operator == ":":
            return _part_of(field.text, value)
        return _negated(operator, Equals(field.text, value))

    def _boolean(self) -> bool:
        position = self._position()
        value = self._value()
        if value not in {"true", "false"}:
            self._fail_at(position, f"has {quoted(value)}; say true or false")
        return value == "true"

    def _value(self) -> str:
        token = self._peek()
        if token is not None and token.kind == "text":
            self._next += 1
            return _ESCAPE.sub(r"\1", token.text[1:-1])
        return self._take("word", "a value").text

    def _take_operator(self, allowed: set[str]) -> str:
        token = self._peek()
        if token is None or token.text not in allowed or token.kind != "op":
            self._fail(f"needs {' or '.join(sorted(allowed))}")
        self._next += 1
        return token.text

    def _take(self, kind: str, what: str) -> _Token:
        token = self._peek()
        if token is None or token.kind != kind:
            self._fail(f"needs {what}")
        self._next += 1
        return token

    def _takes(self, text: str) -> bool:
        token = self._peek()
        found = token is not None and token.kind != "text" and token.text == text
        self._next += found
        return found

    def _begins_term(self) -> bool:
        """Terms side by side are joined by AND, as in AIP-160."""
        token = self._peek()
        return token is not None and token.text not in {"OR", "AND", ")"} and token.kind != "op"

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _position(self) -> int:
        token = self._peek()
        return token.position if token else len(self._text)

    def _fail(self, text: str) -> NoReturn:
        self._fail_at(self._position(), text)

    def _fail_at(self, position: int, text: str) -> NoReturn:
        raise InvalidArgument.of("filter", f"at character {position + 1}: {text}")


def _negated(operator: str, predicate: Predicate) -> Predicate:
    return Not(predicate) if operator == "!=" else predicate


def _part_of(field: str, value: str) -> Predicate:
    if value.endswith("*"):
        return StartsWith(field, value[:-1])
    return Contains(field, value)
