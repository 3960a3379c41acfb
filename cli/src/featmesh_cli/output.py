"""What commands print: tables for people, JSON for programs.

Texts come from other people by way of the server; none of them reaches a terminal as control.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, Final

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table
from rich.text import Text

from featmesh_cli.escapes import printable

PIPE_WIDTH: Final = 240
"""Columns when there is no terminal, so that no name is cut."""

Columns = Mapping[str, Callable[[Any], str]]
"""Headings of a table, and what stands below each for one item."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def echo(line: str, *, err: bool = False) -> None:
    """Prints a line that may hold texts from the server."""
    click.echo(printable(line), err=err)


def print_list(items: Iterable[Message], columns: Columns, *, as_json: bool, empty: str) -> None:
    """Prints messages as a table, or as a JSON list with the contract's field names."""
    if as_json:
        print_json(items)
        return
    rows = ([cell(item) for cell in columns.values()] for item in items)
    print_table(tuple(columns), rows, empty=empty)


def print_fields(item: Message, columns: Columns, *, as_json: bool) -> None:
    """Prints one message, a line for each column, or as a JSON object."""
    if as_json:
        print_one(item)
        return
    rows = ((heading.lower(), cell(item)) for heading, cell in columns.items())
    print_table(("FIELD", "VALUE"), rows, empty="")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Prints rows under headings, or one line when there are none."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    if not table.row_count:
        click.echo(empty)
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    console.print(table)


def print_json(messages: Iterable[Message]) -> None:
    """Prints a JSON list of messages with the contract's field names."""
    _print_document([_document(message) for message in messages])


def print_one(message: Message) -> None:
    """Prints a message as a JSON object with the contract's field names."""
    _print_document(_document(message))


def print_object(**parts: Message | Iterable[Message]) -> None:
    """Prints a JSON object whose fields are messages, or lists of them."""
    _print_document(
        {
            name: _document(part) if isinstance(part, Message) else list(map(_document, part))
            for name, part in parts.items()
        }
    )


def shown_time(time: Timestamp) -> str:
    """Returns a time in UTC to the second; empty when it is not set."""
    if not time.seconds:
        return ""
    return time.ToDatetime(tzinfo=UTC).strftime("%Y-%m-%d %H:%M:%S")


def shown_enum(enum: Any, value: int) -> str:
    """Returns the name of an enum's value without its type: ``server`` of SDK_KEY_KIND_SERVER."""
    if value not in enum.values():
        return str(value)  # of a newer server
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.DESCRIPTOR.name).upper()
    return str(enum.Name(value)).removeprefix(f"{prefix}_").lower()


def _print_document(document: object) -> None:
    click.echo(printable(json.dumps(document, indent=2, ensure_ascii=False), kept="\n"))


def _document(message: Message) -> dict[str, object]:
    return dict(
        MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    )
