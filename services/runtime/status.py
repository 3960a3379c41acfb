"""The one table from error class to gRPC status, with ``google.rpc`` details."""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from services.runtime.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    MeshError,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    StaleVersion,
    Unauthenticated,
    Unavailable,
)

DOMAIN: Final = "featmesh"
"""``google.rpc.ErrorInfo.domain`` of every error."""

MAX_VIOLATIONS: Final = 50
"""More would not fit the metadata that carries them (8 KiB by default)."""

MAX_DETAIL_BYTES: Final = 5_120
"""Of violations: with the message they stay below the default metadata limit of clients."""

MAX_MESSAGE_CHARACTERS: Final = 512
"""It is sent twice, once with each byte beyond ASCII as three."""

_CODES: Final[tuple[tuple[type[MeshError], grpc.StatusCode], ...]] = (
    (InvalidArgument, grpc.StatusCode.INVALID_ARGUMENT),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (AlreadyExists, grpc.StatusCode.ALREADY_EXISTS),
    (StaleVersion, grpc.StatusCode.ABORTED),
    (FailedPrecondition, grpc.StatusCode.FAILED_PRECONDITION),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (PermissionDenied, grpc.StatusCode.PERMISSION_DENIED),
    (ResourceExhausted, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (DeadlineExceeded, grpc.StatusCode.DEADLINE_EXCEEDED),
    (Unavailable, grpc.StatusCode.UNAVAILABLE),
)

Trailers = tuple[tuple[str, str | bytes], ...]


def status_code(error: MeshError) -> grpc.StatusCode:
    """The code of an error's class; a class that is not in the table is INTERNAL."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return grpc.StatusCode.INTERNAL


def status_text(error: MeshError) -> str:
    """The message, cut if it is too long for a status."""
    if len(error.message) <= MAX_MESSAGE_CHARACTERS:
        return error.message
    return error.message[: MAX_MESSAGE_CHARACTERS - 1] + "…"


def trailers(error: MeshError) -> Trailers:
    """Trailing metadata: the details, and the pushback of a bound that is reached."""
    details = _details(error).SerializeToString()
    found: list[tuple[str, str | bytes]] = [("grpc-status-details-bin", details)]
    if isinstance(error, ResourceExhausted):
        found.append(("grpc-retry-pushback-ms", str(error.pushback_ms)))
    return tuple(found)


def _details(error: MeshError) -> status_pb2.Status:
    status = status_pb2.Status(code=status_code(error).value[0], message=status_text(error))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    status.details.append(_packed(info))
    if isinstance(error, InvalidArgument):
        status.details.append(_packed(_bad_request(error)))
    return status


def _bad_request(error: InvalidArgument) -> error_details_pb2.BadRequest:
    request = error_details_pb2.BadRequest()
    for violation in error.violations[:MAX_VIOLATIONS]:
        request.field_violations.add(field=violation.field, description=violation.description)
        if request.ByteSize() > MAX_DETAIL_BYTES:
            del request.field_violations[-1]
            break
    left_out = len(error.violations) - len(request.field_violations)
    if left_out:
        request.field_violations.add(field="", description=f"{left_out} more")
    return request


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
