"""`featmesh users import` and `featmesh users export`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from featmesh.management.v1 import end_user_service_pb2 as pb
from featmesh.management.v1.end_user_service_pb2_grpc import EndUserServiceStub
from featmesh.wire.limits import rule_of
from featmesh_cli.access import Management, management
from featmesh_cli.commands.users import filter_of, filter_options, user_properties
from featmesh_cli.errors import CommandError
from featmesh_cli.limits import largest_request
from featmesh_cli.output import json_option, print_one
from featmesh_cli.user_files import (
    CsvWriter,
    JsonLinesWriter,
    Lines,
    Refused,
    read_csv,
    read_json_lines,
)

_IMPORT: Final = pb.DESCRIPTOR.services_by_name["EndUserService"].methods_by_name["ImportEndUsers"]

CHUNK_USERS: Final = rule_of(pb.ImportEndUsersRequest, "users").max_count
CHUNK_BYTES: Final = largest_request(_IMPORT) - 4_096
"""A request's limit, less what stands around the users."""

MAX_REFUSALS: Final = 1_000
"""Of the lines that are refused here; of more only the number is said."""

SHOWN_REFUSALS: Final = 50
MAX_COLUMNS: Final = 1_000
TRANSFER_SECONDS: Final = 24 * 3600.0

_FORMATS: Final = ("jsonl", "csv")
_format = click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default=None,
    help="What the file holds; by its ending if not given, JSON lines for all but .csv.",
)


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@_format
@click.option("--dry-run", "validate_only", is_flag=True, help="Check everything, write nothing.")
@json_option
@management
def import_users(
    access: Management, file: Path, form: str | None, validate_only: bool, as_json: bool
) -> None:
    """Bring in users from FILE, - for standard input; refused lines are reported.

    Exit code 1 if a line was refused; the others are taken. The same file again changes nothing.
    """
    environment = access.environment
    with _opened(file) as opened, _progress() as progress:
        task = progress.add_task("Importing", total=_size(opened), users=0)
        sieve = _Sieve(lambda users: progress.update(task, users=users))
        lines = Lines(opened, lambda size: progress.advance(task, size))
        read = read_csv(lines) if _form(file, form) == "csv" else read_json_lines(lines)
        answer = EndUserServiceStub(access.channel).ImportEndUsers(
            _chunks(sieve.users_of(read), environment, validate_only=validate_only),
            metadata=access.metadata,
            timeout=TRANSFER_SECONDS,
        )
    _report(sieve.added_to(answer), as_json=as_json, validate_only=validate_only)


@click.command("export")
@filter_options
@click.option(
    "--to",
    "file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default="-",
    help="File to write; standard output if not given.",
)
@_format
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME",
    help="CSV: an attribute to write; all that the environment knows if not given.",
)
@management
def export_users(
    access: Management, /, file: Path, form: str | None, columns: tuple[str, ...], **wanted: Any
) -> None:
    """Write users as JSON lines or CSV, in the form that import reads."""
    request = pb.ExportEndUsersRequest(parent=access.environment, filter=filter_of(**wanted))
    stream = EndUserServiceStub(access.channel).ExportEndUsers(
        request, metadata=access.metadata, timeout=TRANSFER_SECONDS
    )
    count = 0
    with _replaced(file) as opened, _progress() as progress:
        task = progress.add_task("Exporting", total=None, users=0)
        writer = _writer(access, opened, _form(file, form), columns)
        for chunk in stream:
            for user in chunk.end_users:
                writer.write(user)
            count += len(chunk.end_users)
            progress.update(task, users=count)
    click.echo(f"Exported {count} users.", err=True)
    if isinstance(writer, CsvWriter) and writer.left_out:
        click.echo(f"{writer.left_out} attributes have no column and are left out.", err=True)


class _Sieve:
    """Keeps back what is no user before the server has seen it, and counts the others."""

    def __init__(self, told: Callable[[int], None]) -> None:
        self._told = told
        self._users = 0
        self._count = 0
        self._first: list[Refused] = []

    def users_of(self, read: Iterable[pb.ImportedUser | Refused]) -> Iterator[pb.ImportedUser]:
        """The users; what is none, or too large for one request, is kept here."""
        for each in read:
            if isinstance(each, Refused):
                self._add(each)
            elif each.ByteSize() > CHUNK_BYTES:
                reason = f"is a user of {each.ByteSize()} bytes; the limit is {CHUNK_BYTES}"
                self._add(Refused(each.line, "line", reason))
            else:
                self._users += 1
                self._told(self._users)
                yield each

    def added_to(self, answer: pb.ImportEndUsersResponse) -> pb.ImportEndUsersResponse:
        """The whole report, by line."""
        told = [pb.RefusedUser(line=r.line, field=r.field, reason=r.reason) for r in self._first]
        refusals = sorted([*answer.refusals, *told], key=lambda each: each.line)
        return pb.ImportEndUsersResponse(
            created=answer.created,
            updated=answer.updated,
            unchanged=answer.unchanged,
            refused=answer.refused + self._count,
            refusals=refusals,
        )

    def _add(self, refused: Refused) -> None:
        self._count += 1
        if len(self._first) < MAX_REFUSALS:
            self._first.append(refused)


def _chunks(
    users: Iterable[pb.ImportedUser], environment: str, *, validate_only: bool
) -> Iterator[pb.ImportEndUsersRequest]:
    """At least one, so that an environment that is not there is told of."""
    chunk = pb.ImportEndUsersRequest(parent=environment, validate_only=validate_only)
    size = 0
    for user in users:
        bytes_of_user = user.ByteSize() + 8
        if len(chunk.users) == CHUNK_USERS or size + bytes_of_user > CHUNK_BYTES:
            yield chunk
            chunk, size = pb.ImportEndUsersRequest(), 0
        chunk.users.append(user)
        size += bytes_of_user
    yield chunk


def _report(report: pb.ImportEndUsersResponse, *, as_json: bool, validate_only: bool) -> None:
    if as_json:
        print_one(report)
        if report.refused:
            sys.exit(1)
        return
    done = "Would import" if validate_only else "Imported"
    click.echo(
        f"{done}: {report.created} new, {report.updated} changed, {report.unchanged} as they were,"
        f" {report.refused} refused."
    )
    if report.refused:
        shown = [
            f"line {each.line}: {each.field}: {each.reason}"
            for each in report.refusals[:SHOWN_REFUSALS]
        ]
        if report.refused > len(shown):
            shown.append(f"and {report.refused - len(shown)} more; --json names up to 2,000")
        raise CommandError(f"{report.refused} lines refused:", tuple(shown))


def _form(file: Path, form: str | None) -> str:
    return form or ("csv" if file.suffix.lower() == ".csv" else "jsonl")


def _writer(
    access: Management, opened: IO[str], form: str, columns: tuple[str, ...]
) -> CsvWriter | JsonLinesWriter:
    if form != "csv":
        return JsonLinesWriter(opened)
    known = columns or [each.name for each in user_properties(access, limit=MAX_COLUMNS)]
    return CsvWriter(opened, known)


def _size(opened: IO[bytes]) -> int | None:
    """Bytes of a file; nobody knows how much a pipe will bring."""
    return os.fstat(opened.fileno()).st_size or None


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    with file.open("rb") as opened:
        yield opened


@contextmanager
def _replaced(file: Path) -> Iterator[IO[str]]:
    """A file that is there when all of it is, and standard output as it is."""
    if str(file) == "-":
        yield sys.stdout
        return
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as opened:
            yield opened
        Path(name).replace(file)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on standard error, where that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[users]} users"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress
