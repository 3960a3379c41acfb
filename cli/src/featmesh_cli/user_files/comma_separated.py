"""CSV: a header, then a user in each record; a column that is no field is an attribute."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import IO, Final

from featmesh.engine.model import Attribute
from featmesh.management.v1 import end_user_service_pb2
from featmesh_cli.contexts import attribute_from_text, attribute_to_text
from featmesh_cli.errors import CommandError
from featmesh_cli.user_files.lines import MAX_LINE_BYTES, Line, Lines, Refused
from featmesh_cli.user_files.records import FIELDS, BadField, record_of, user_of

PREFIX: Final = "attributes."
"""Marks a column as an attribute, for one that is called like a field."""

MAX_RECORD_LINES: Final = 1_000
"""A quote that is open for so many lines was never meant to be closed."""


def read_csv(lines: Lines) -> Iterator[end_user_service_pb2.ImportedUser | Refused]:
    """The user of each record, or why there is none. Raises `CommandError` for the header."""
    csv.field_size_limit(MAX_LINE_BYTES)
    return _users(lines, _header(lines))


def _users(
    lines: Lines, columns: Sequence[str]
) -> Iterator[end_user_service_pb2.ImportedUser | Refused]:
    while (line := lines.next()) is not None:
        if line.text is None:
            yield Refused(line.number, "line", line.fault)
        elif line.text.strip():
            yield _user(line, lines, columns)


class CsvWriter:
    """Writes users as they come; attributes without a column are counted in ``left_out``."""

    def __init__(self, file: IO[str], attributes: Sequence[str]) -> None:
        self._attributes = attributes
        self._writer = csv.writer(file)
        self._writer.writerow([*FIELDS, *map(_column, attributes)])
        self.left_out = 0

    def write(self, user: end_user_service_pb2.EndUser) -> None:
        """One more record."""
        record = record_of(user)
        has: dict[str, Attribute] = record["attributes"]
        cells = [attribute_to_text(has[each]) if each in has else "" for each in self._attributes]
        self._writer.writerow([*(record[field] for field in FIELDS), *cells])
        self.left_out += len(has.keys() - set(self._attributes))


def _column(attribute: str) -> str:
    marked = attribute in FIELDS or attribute.startswith(PREFIX)
    return f"{PREFIX}{attribute}" if marked else attribute


def _header(lines: Lines) -> list[str]:
    line = lines.next()
    whole = [line, *_while_quoted(line, lines)] if line is not None else []
    cells = _cells("".join(each.text or "" for each in whole))
    if not cells:
        raise CommandError("line 1: must be the header: key,name,first_seen,last_seen,…")
    if "key" not in cells:
        raise CommandError("line 1: the header has no column 'key'")
    twice = sorted({each for each in cells if cells.count(each) > 1})
    if twice or "" in cells:
        raise CommandError(f"line 1: each column needs a name of its own, not {twice or ''}")
    return cells


def _user(
    line: Line, lines: Lines, columns: Sequence[str]
) -> end_user_service_pb2.ImportedUser | Refused:
    try:
        cells = _record(line, lines, len(columns))
        named = {name: cell for name, cell in zip(columns, cells, strict=True) if cell}
        fields = {name: cell for name, cell in named.items() if name in FIELDS}
        attributes = {
            name.removeprefix(PREFIX): attribute_from_text(cell)
            for name, cell in named.items()
            if name not in FIELDS
        }
        return user_of(line.number, fields, attributes)
    except BadField as bad:
        return Refused(line.number, bad.field, bad.reason)


def _record(line: Line, lines: Lines, columns: int) -> list[str]:
    """The cells of the record that begins here.

    A record of several lines that is not as it should be was none: then its first line
    stands for itself, and the others are read again.
    """
    following = _while_quoted(line, lines)
    if following:
        cells = _cells("".join(each.text or "" for each in (line, *following)))
        if cells and len(cells) == columns:
            return cells
        lines.give_back(following)
    cells = _cells(line.text or "")
    if cells is None:
        raise BadField("line", "is not CSV: a quote is open, or stands in the wrong place")
    if len(cells) != columns:
        raise BadField("line", f"has {len(cells)} cells; the header has {columns}")
    return cells


def _while_quoted(line: Line, lines: Lines) -> list[Line]:
    """The lines up to the one that closes the quote that is open in ``line``."""
    following: list[Line] = []
    is_open, size = _odd_quotes(line), len(line.text or "")
    while is_open and len(following) < MAX_RECORD_LINES and size < MAX_LINE_BYTES:
        another = lines.next()
        if another is None:
            break
        following.append(another)
        if another.text is None:
            break
        size += len(another.text)
        is_open ^= _odd_quotes(another)
    return following


def _odd_quotes(line: Line) -> bool:
    return (line.text or "").count('"') % 2 == 1


def _cells(text: str) -> list[str] | None:
    """None for what is not CSV."""
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        return None
