"""What fields and requests may hold, as the contract's options say."""

from __future__ import annotations

import click
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from featmesh.options.v1.options_pb2 import access
from featmesh.wire.limits import rule_of


def range_of(message: type[Message], field: str, *, low: int = 1) -> click.IntRange:
    """Returns the whole numbers from ``low`` to the largest that a field may hold."""
    return click.IntRange(low, int(rule_of(message, field).max))


def largest_request(method: MethodDescriptor) -> int:
    """Returns the most bytes that a request of a method, which must say so, may have."""
    size: int = method.GetOptions().Extensions[access].request_bytes
    return size
