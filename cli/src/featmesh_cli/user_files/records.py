"""One user as a record of a file, and as the message that brings it in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.engine.model import Attribute
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.management.v1 import end_user_service_pb2
from featmesh.wire import attribute_to_proto, context_from_proto

TIMES: Final = ("first_seen", "last_seen")
FIELDS: Final = ("key", "name", *TIMES)
"""Of a user, beside its attributes."""


class BadField(Exception):
    """A field that no user can have."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        # JSON can name a field in half a character, which nothing can print.
        self.field = field.encode(errors="backslashreplace").decode()
        self.reason = reason


def user_of(
    line: int, fields: Mapping[str, Any], attributes: Mapping[str, Any]
) -> end_user_service_pb2.ImportedUser:
    """The message of a record; what is missing or None is not set. Raises `BadField`."""
    user = end_user_service_pb2.ImportedUser(line=line)
    for name in ("key", "name"):
        _set_text(user.context, name, fields.get(name))
    for name in TIMES:
        _set_time(getattr(user, name), name, fields.get(name))
    for name, value in attributes.items():
        _set_attribute(user.context, name, value)
    return user


def record_of(user: end_user_service_pb2.EndUser) -> dict[str, Any]:
    """The record of a user, with times as RFC 3339 says."""
    context = context_from_proto(user.context)
    return {
        "key": context.key,
        "name": context.name,
        "attributes": dict(sorted(context.attributes.items())),
        "first_seen": user.first_seen.ToJsonString(),
        "last_seen": user.last_seen.ToJsonString(),
    }


def _set_text(context: evaluation_pb2.Context, name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise BadField(name, "must be text")
    try:
        setattr(context, name, value)
    except ValueError:
        raise BadField(name, "is not valid text") from None


def _set_time(stamp: Timestamp, name: str, value: Any) -> None:
    if value is None:
        return
    try:
        stamp.FromJsonString(value)
    except (ValueError, TypeError, AttributeError):
        raise BadField(name, "is no time such as 2026-05-04T12:30:00Z") from None


def _set_attribute(context: evaluation_pb2.Context, name: str, value: Any) -> None:
    path = f"attributes.{name}"
    try:
        message = attribute_to_proto(_attribute(path, value))
        context.attributes[name].CopyFrom(message or evaluation_pb2.AttributeValue())
    except ValueError:
        raise BadField(path, "is not valid text") from None


def _attribute(path: str, value: Any) -> Attribute:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return _number(path, value)
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise BadField(path, "must be a text, a number, a boolean or a list of texts")


def _number(path: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadField(path, "is not a finite number")
    return number
