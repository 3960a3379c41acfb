"""End users in requests: keys, filters, and users that are brought in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from featmesh.engine.model import Attribute
from featmesh.management.v1 import end_user_service_pb2 as pb
from featmesh.wire import attribute_from_proto, context_from_proto
from services.api.rpc import limits
from services.api.rpc.validation.faults import Faults
from services.runtime.contexts import context_violations, value_violations
from services.runtime.errors import Violation
from services.storage.model.end_users import ImportedUser, UserFilter

_AHEAD: Final = timedelta(minutes=5)
"""How far another clock may be ahead; a user seen in the future would never change again."""


def check_user_key(faults: Faults, key: str) -> None:
    """The key of an end user."""
    faults.text("key", key, limits.CONTEXT_KEY_BYTES, low=1)


def check_filter(faults: Faults, wanted: pb.EndUserFilter) -> UserFilter:
    """The filter; meaningful only when no fault was found."""
    faults.text("filter.key_prefix", wanted.key_prefix, limits.CONTEXT_KEY_BYTES)
    faults.text("filter.name_prefix", wanted.name_prefix, limits.CONTEXT_KEY_BYTES)
    faults.count("filter.attributes", len(wanted.attributes), limits.FILTERED_ATTRIBUTES)
    for index, attribute in enumerate(wanted.attributes):
        path = f"filter.attributes[{index}].value"
        name = f"filter.attributes[{index}].name"
        faults.text(name, attribute.name, limits.ATTRIBUTE_BYTES, low=1)
        if attribute.value.WhichOneof("kind") == "list_value":
            faults.add(path, "must be one text, number or boolean")
            continue
        for violation in value_violations(path, attribute.value):
            faults.add(violation.field, violation.description)
    attributes = tuple(map(_attribute, wanted.attributes))
    return UserFilter(wanted.key_prefix, wanted.name_prefix, attributes)


def imported_user(user: pb.ImportedUser, now: datetime) -> ImportedUser | list[Violation]:
    """The user that a line of a file holds, or what is wrong with it."""
    violations = [
        *(_without_root(each) for each in context_violations(user.context, "context")),
        *_time_violations(user, now),
    ]
    if violations:
        return violations
    return ImportedUser(
        context_from_proto(user.context), _time(user, "first_seen"), _time(user, "last_seen")
    )


def _attribute(wanted: pb.AttributeFilter) -> tuple[str, Attribute]:
    value = attribute_from_proto(wanted.value)
    return wanted.name, "" if value is None else value


def _without_root(violation: Violation) -> Violation:
    return Violation(violation.field.removeprefix("context."), violation.description)


def _time_violations(user: pb.ImportedUser, now: datetime) -> Iterator[Violation]:
    times: list[datetime] = []
    names: tuple[Literal["first_seen", "last_seen"], ...] = ("first_seen", "last_seen")
    for name in names:
        try:
            time = _time(user, name)
        except (ValueError, OverflowError):
            yield Violation(name, "is no time from the year 1 to 9999")
            continue
        if time is not None:
            times.append(time)
            if time > now + _AHEAD:
                yield Violation(name, "is in the future")
    if len(times) == len(names) and times[0] > times[1]:
        yield Violation("first_seen", "is after last_seen")


def _time(user: pb.ImportedUser, name: Literal["first_seen", "last_seen"]) -> datetime | None:
    if not user.HasField(name):
        return None
    stamp = user.first_seen if name == "first_seen" else user.last_seen
    time = stamp.ToDatetime(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
