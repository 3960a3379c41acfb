"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 240
"""Columns when there is no terminal, so that no id is cut."""


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Prints rows under headings, or one line when there are none."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if not table.row_count:
        click.echo(empty)
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    console.print(table)


def print_json(messages: Iterable[Message]) -> None:
    """Prints a JSON list of messages with the contract's field names."""
    click.echo(json.dumps([_document(message) for message in messages], indent=2))


def print_one(message: Message) -> None:
    """Prints a message as a JSON object with the contract's field names."""
    click.echo(json.dumps(_document(message), indent=2, ensure_ascii=False))


def print_object(**parts: Message | Iterable[Message]) -> None:
    """Prints a JSON object whose fields are messages, or lists of them."""
    document = {
        name: _document(part) if isinstance(part, Message) else [_document(each) for each in part]
        for name, part in parts.items()
    }
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def shown_time(time: Timestamp) -> str:
    """A time in UTC to the second; empty when it is not set."""
    if not time.seconds:
        return ""
    return time.ToDatetime(tzinfo=UTC).strftime("%Y-%m-%d %H:%M:%S")


def _document(message: Message) -> dict[str, object]:
    return dict(
        MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    )
