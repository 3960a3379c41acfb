"""Errors as an operator wants to read them: what, where, and no traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import click
import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from featmesh_cli.escapes import printable

DETAILS = "grpc-status-details-bin"

_HINTS = {
    grpc.StatusCode.UNAVAILABLE: "the service cannot be reached",
    grpc.StatusCode.DEADLINE_EXCEEDED: "the service did not answer in time",
    grpc.StatusCode.UNAUTHENTICATED: "not let in; check the token or SDK key",
    grpc.StatusCode.PERMISSION_DENIED: "not allowed",
    grpc.StatusCode.ABORTED: (
        "somebody changed it meanwhile, and nothing was written; look at it again, then repeat this"
    ),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request that the server refused."""

    field: str
    description: str


class CommandError(click.ClickException):
    """Ends a command: one line, then one for each detail; exit code 1."""

    def __init__(self, message: str, details: tuple[str, ...] = ()) -> None:
        lines = [message, *(f"  {detail}" for detail in details)]
        super().__init__("\n".join(map(printable, lines)))


def describe(
    error: grpc.RpcError, name_of: Callable[[str], str] = lambda field: field
) -> CommandError:
    """Makes a failed call readable.

    Args:
        error: The failed call.
        name_of: Renames the fields that the server refused.
    """
    code = error.code()
    said = " ".join((error.details() or "").split()) or code.name
    message = f"{_HINTS.get(code, code.name)}: {said}"
    details = [f"{name_of(one.field)}: {one.description}" for one in violations_of(error)]
    if len(details) == 1 and details[0] in said:
        details = []
    permission = _missing_permission(error)
    if permission and permission not in said:
        details.append(f"missing permission: {permission}")
    return CommandError(message, tuple(details))


def violations_of(error: grpc.RpcError) -> tuple[Violation, ...]:
    """Returns the refused fields that a failed call carries as google.rpc.BadRequest."""
    request = error_details_pb2.BadRequest()
    _read_detail(error, request)
    return tuple(Violation(each.field, each.description) for each in request.field_violations)


@contextmanager
def failures_as_lines() -> Iterator[None]:
    """Turns what a command did not foresee into one line and exit code 1."""
    try:
        yield
    except grpc.RpcError as error:
        describe(error).show()
        sys.exit(1)
    except OSError as error:
        CommandError(str(error)).show()
        sys.exit(1)


def _missing_permission(error: grpc.RpcError) -> str:
    if error.code() is not grpc.StatusCode.PERMISSION_DENIED:
        return ""
    info = error_details_pb2.ErrorInfo()
    _read_detail(error, info)
    return str(info.metadata.get("permission", ""))


def _read_detail(error: grpc.RpcError, detail: Message) -> None:
    """Fills a message from the status details; leaves it empty if they hold none such."""
    for entry in error.trailing_metadata() or ():
        if entry.key == DETAILS and isinstance(entry.value, bytes):
            with suppress(DecodeError):
                status = status_pb2.Status.FromString(entry.value)
                next((each for each in status.details if each.Unpack(detail)), None)
