"""JSON lines: one object for each user."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any, NoReturn

from featmesh.management.v1 import end_user_service_pb2
from featmesh_cli.user_files.lines import Line, Lines, Refused
from featmesh_cli.user_files.records import FIELDS, BadField, record_of, user_of


def read_json_lines(lines: Lines) -> Iterator[end_user_service_pb2.ImportedUser | Refused]:
    """The user of each line, or why there is none; empty lines are passed over."""
    while (line := lines.next()) is not None:
        if line.text is None or line.text.strip():
            try:
                yield _user(line)
            except BadField as bad:
                yield Refused(line.number, bad.field, bad.reason)


class JsonLinesWriter:
    """Writes users as they come."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, user: end_user_service_pb2.EndUser) -> None:
        """One more line."""
        self._file.write(json.dumps(record_of(user), ensure_ascii=False) + "\n")


def _user(line: Line) -> end_user_service_pb2.ImportedUser:
    record = _parsed(line)
    attributes = record.pop("attributes", None) or {}
    if not isinstance(attributes, dict):
        raise BadField("attributes", "must be an object")
    for name in record:
        if name not in FIELDS:
            raise BadField(name, "is no field of a user; attributes stand under attributes")
    return user_of(line.number, record, attributes)


def _parsed(line: Line) -> dict[str, Any]:
    if line.text is None:
        raise BadField("line", line.fault)
    try:
        record = json.loads(line.text, parse_constant=_no_constant)
    except RecursionError:
        raise BadField("line", "is nested too deeply") from None
    except ValueError as error:
        raise BadField("line", f"is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise BadField("line", "is not a JSON object")
    return record


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")
