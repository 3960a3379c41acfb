"""Errors as an operator wants to read them: what, where, and no traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

DETAILS = "grpc-status-details-bin"

_HINTS = {
    grpc.StatusCode.UNAVAILABLE: "the service cannot be reached",
    grpc.StatusCode.DEADLINE_EXCEEDED: "the service did not answer in time",
    grpc.StatusCode.UNAUTHENTICATED: "not let in; check the token or SDK key",
    grpc.StatusCode.PERMISSION_DENIED: "not allowed",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request that the server refused."""

    field: str
    description: str


class CommandError(click.ClickException):
    """Ends a command: one line, then one for each detail; exit code 1."""

    def __init__(self, message: str, details: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join([message, *(f"  {detail}" for detail in details)]))


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
    hint = _HINTS.get(code)
    message = f"{hint}: {said}" if hint else f"{code.name}: {said}"
    details = tuple(f"{name_of(one.field)}: {one.description}" for one in violations_of(error))
    return CommandError(message, details)


def violations_of(error: grpc.RpcError) -> tuple[Violation, ...]:
    """The refused fields that a failed call carries as google.rpc.BadRequest."""
    for entry in error.trailing_metadata() or ():
        if entry.key == DETAILS and isinstance(entry.value, bytes):
            return tuple(_violations(entry.value))
    return ()


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


def _violations(details: bytes) -> Iterator[Violation]:
    try:
        status = status_pb2.Status.FromString(details)
        for detail in status.details:
            request = error_details_pb2.BadRequest()
            if detail.Unpack(request):
                for each in request.field_violations:
                    yield Violation(each.field, each.description)
    except DecodeError:
        return
