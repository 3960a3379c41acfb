"""Checks that turn a message into the model; a fault names the field that it stands in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from services.runtime.events import LAST_TIME_MS

M = TypeVar("M", bound=Message)

MAX_ID_BYTES: Final = 64
"""Most bytes of an environment's id."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Undecodable(Exception):
    """This message can never be stored; ``str()`` is its reason as a dead letter."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")


def parse(kind: type[M], payload: bytes) -> M:
    """A message of ``kind``."""
    message = kind()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise Undecodable(kind.DESCRIPTOR.full_name, "not a valid message of this type") from error
    return message


def text(field: str, value: str, limit: int) -> str:
    """1 to ``limit`` bytes of UTF-8."""
    size = len(value.encode())
    if not 1 <= size <= limit:
        raise Undecodable(field, f"has {size} bytes, not 1 to {limit}")
    return value


def milliseconds(field: str, value: int) -> int:
    """Milliseconds since the epoch, after it and before year 10000."""
    if not 0 < value <= LAST_TIME_MS:
        raise Undecodable(field, f"{value} is no time in milliseconds since the epoch")
    return value


def time(field: str, value: int) -> datetime:
    """The time of `milliseconds`."""
    return _EPOCH + timedelta(milliseconds=milliseconds(field, value))
