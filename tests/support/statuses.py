"""Reads the details that a gRPC error carries."""

from __future__ import annotations

from google.rpc import error_details_pb2, status_pb2
from grpc import aio


def error_info(error: aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """The ``google.rpc.ErrorInfo`` that every error of ours has."""
    info = error_details_pb2.ErrorInfo()
    for detail in _status(error).details:
        if detail.Unpack(info):
            return info
    raise AssertionError(f"no ErrorInfo in {error!r}")


def violations(error: aio.AioRpcError) -> dict[str, str]:
    """Field path → what is wrong, from ``google.rpc.BadRequest``; empty if there is none."""
    request = error_details_pb2.BadRequest()
    for detail in _status(error).details:
        if detail.Unpack(request):
            return {each.field: each.description for each in request.field_violations}
    return {}


def _status(error: aio.AioRpcError) -> status_pb2.Status:
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            data = value if isinstance(value, bytes) else value.encode()
            return status_pb2.Status.FromString(data)
    raise AssertionError(f"no details in {error!r}")
