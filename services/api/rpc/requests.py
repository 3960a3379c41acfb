"""Checks requests by their fields' rules, with what is special about updates and pages."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from google.protobuf.message import Message

from services.runtime.errors import InvalidArgument
from services.runtime.field_rules import AnyDescriptor, check_message, rule_of
from services.runtime.violations import Violations, quoted

PAGE_SIZE: Final = 100
"""Number of items of a page whose size is not said."""

EVERYTHING: Final = "*"
"""An update mask of all that an operator sets."""


Check = Callable[[Violations, Any], None]
"""Looks at what the rules of a request's fields cannot say."""


def check_request(request: Message, check: Check | None = None) -> None:
    """Raises `InvalidArgument` with all that is wrong with a request, by rule or by ``check``.

    Of an update's resource only what the update writes is looked at.
    """
    violations = Violations()
    fields = request.DESCRIPTOR.fields_by_name
    updated = _updated_field(request.DESCRIPTOR)
    if updated is None:
        check_message(violations, "", request)
    else:
        others = [name for name in fields if name != updated]
        check_message(violations, "", request, only=others)
        _check_update(violations, updated, request)
    if check is not None:
        check(violations, request)
    violations.finish()


def page_size(page: Any) -> int:
    """Returns the number of items that a checked PageRequest asks for."""
    return int(page.size) or PAGE_SIZE


def masked_paths(resource: Message, paths: Collection[str]) -> frozenset[str]:
    """Returns the fields of a resource that an update with such a mask writes.

    Raises `InvalidArgument` for a path that is no field, or one that the server sets.
    """
    settable = _settable(resource.DESCRIPTOR)
    if EVERYTHING in paths:
        return settable
    if not paths:
        return frozenset(field.name for field, _ in resource.ListFields()) & settable
    violations = Violations()
    for path in paths:
        if path not in settable:
            known = ", ".join(sorted(settable))
            violations.add("update_mask", f"names {quoted(path)}; it may name {known}")
    violations.finish()
    return frozenset(paths)


def merged(current: Message, sent: Message, paths: Collection[str]) -> Message:
    """Returns ``current`` with the fields at ``paths`` as they were ``sent``."""
    result = type(current)()
    result.CopyFrom(current)
    for path in paths:
        result.ClearField(path)
    chosen = type(sent)()
    chosen.CopyFrom(sent)
    for field, _ in sent.ListFields():
        if field.name not in paths:
            chosen.ClearField(field.name)
    result.MergeFrom(chosen)
    return result


def _updated_field(request: AnyDescriptor) -> str | None:
    """Name of the field with the resource, if the request is an update."""
    if "update_mask" not in request.fields_by_name:
        return None
    return str(request.fields[0].name)


def _check_update(violations: Violations, field: str, request: Any) -> None:
    if not request.HasField(field):
        violations.add(field, "is required")
        return
    resource = getattr(request, field)
    if not resource.name:
        violations.add(f"{field}.name", "is required")
    try:
        paths = masked_paths(resource, request.update_mask.paths)
    except InvalidArgument as error:
        for each in error.violations:
            violations.add(each.field, each.description)
        return
    if not paths:
        violations.add("update_mask", "names nothing, and nothing is set: nothing to update")
    check_message(violations, field, resource, only=paths)


def _settable(resource: AnyDescriptor) -> frozenset[str]:
    names = (field.name for field in resource.fields)
    return frozenset(name for name in names if not rule_of(resource, name).output_only)
