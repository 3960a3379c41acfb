"""End users in requests: what the rules of fields cannot say of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, Literal

from featmesh.engine.model import Attribute
from featmesh.management.v1 import end_user_service_pb2 as pb
from featmesh.wire import attribute_from_proto, context_from_proto
from services.api.rpc.messages import time_of
from services.runtime.contexts import context_violations
from services.runtime.errors import Violation
from services.runtime.field_rules import check_message
from services.runtime.violations import Violations
from services.storage.model.end_users import ImportedUser, UserFilter

_AHEAD: Final = timedelta(minutes=5)
"""How far another clock may be ahead; a user seen in the future would never change again."""

_TIMES: Final = ("first_seen", "last_seen")


def read_filter(wanted: pb.EndUserFilter) -> UserFilter:
    """Returns a checked filter; raises `InvalidArgument` for a value that is not one."""
    violations = Violations()
    for index, attribute in enumerate(wanted.attributes):
        path, kind = f"filter.attributes[{index}].value", attribute.value.WhichOneof("kind")
        if kind is None or kind == "list_value":
            violations.add(path, "must be one text, number or boolean")
    violations.finish()
    attributes = tuple(map(_attribute, wanted.attributes))
    return UserFilter(wanted.key_prefix, wanted.name_prefix, attributes)


def imported_user(user: pb.ImportedUser, now: datetime) -> ImportedUser | list[Violation]:
    """Returns the user that a line of a file holds, or what is wrong with it."""
    violations = Violations()
    violations.extend(map(_without_root, context_violations(user.context, "context")))
    check_message(violations, "", user, only=_TIMES)
    if not violations:
        violations.extend(_time_violations(user, now))
    if violations:
        return list(violations)
    return ImportedUser(
        context_from_proto(user.context), _time(user, "first_seen"), _time(user, "last_seen")
    )


def _attribute(wanted: pb.AttributeFilter) -> tuple[str, Attribute]:
    value = attribute_from_proto(wanted.value)
    return wanted.name, "" if value is None else value


def _without_root(violation: Violation) -> Violation:
    return Violation(violation.field.removeprefix("context."), violation.description)


def _time_violations(user: pb.ImportedUser, now: datetime) -> Iterator[Violation]:
    first, last = _time(user, "first_seen"), _time(user, "last_seen")
    for name, time in zip(_TIMES, (first, last), strict=True):
        if time is not None and time > now + _AHEAD:
            yield Violation(name, "is in the future")
    if first is not None and last is not None and first > last:
        yield Violation("first_seen", "is after last_seen")


def _time(user: pb.ImportedUser, name: Literal["first_seen", "last_seen"]) -> datetime | None:
    if not user.HasField(name):
        return None
    return time_of(user.first_seen if name == "first_seen" else user.last_seen)
