"""Checks messages by the rules that their fields carry (featmesh.options.v1.FieldRule).

A checker is compiled once for each message type, from its descriptor: what no rule speaks of
costs nothing. What a rule cannot say (unique ids, references, operands of an operator) is code
beside the method.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any, Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from featmesh.options.v1.options_pb2 import (
    FORMAT_COLOR,
    FORMAT_KEY,
    FORMAT_LINE,
    FORMAT_UNSPECIFIED,
    FieldRule,
)
from featmesh.options.v1.options_pb2 import rule as rule_option
from services.runtime.violations import Violations, quoted

AnyDescriptor = Any
"""A message's descriptor; the stubs know two unrelated classes of them."""

Check = Callable[[Violations, str, Any], None]
"""Checks the value of one field, which stands at a path."""

MAX_VIOLATIONS: Final = 1_000
"""Violations after which a list's further elements are not looked at."""

_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_TIMESTAMP: Final = "google.protobuf.Timestamp"
_FIRST_SECOND: Final = -62_135_596_800
_LAST_SECOND: Final = 253_402_300_799
"""Seconds from 1970 of the years 1 and 9999, as Timestamp has them."""


def rule_of(descriptor: AnyDescriptor, field: str) -> FieldRule:
    """Returns the rule of a message's field; an empty one if it has none."""
    found: FieldRule = descriptor.fields_by_name[field].GetOptions().Extensions[rule_option]
    return found


def check_message(
    violations: Violations, path: str, message: Message, *, only: Collection[str] | None = None
) -> None:
    """Checks all fields of a message, or ``only`` those named, that stand at ``path``."""
    for field, check in _compiled(message.DESCRIPTOR):
        if only is None or field.name in only:
            check(violations, f"{path}.{field.name}" if path else field.name, message)


@cache
def _compiled(descriptor: Descriptor) -> Sequence[tuple[FieldDescriptor, Check]]:
    found = ((field, _field_check(field)) for field in descriptor.fields)
    return tuple((field, check) for field, check in found if check is not None)


@cache
def _has_rules(descriptor: Descriptor) -> bool:
    """Whether anything in the message or below it is to be checked; types may be recursive."""
    if descriptor.full_name == _TIMESTAMP:
        return True
    below = [field.message_type for field in descriptor.fields if field.message_type]
    own = any(_checked_by_itself(field) for field in descriptor.fields)
    return own or any(_has_rules(each) for each in below if each is not descriptor)


def _checked_by_itself(field: FieldDescriptor) -> bool:
    is_double = field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE
    return is_double or field.enum_type is not None or field.GetOptions().HasExtension(rule_option)


def _field_check(field: FieldDescriptor) -> Check | None:
    rule: FieldRule = field.GetOptions().Extensions[rule_option]
    if rule.output_only:
        return None
    if _is_map(field):
        return _map_check(field, rule)
    if field.is_repeated:
        return _list_check(field, rule)
    return _single_check(field, rule)


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def _single_check(field: FieldDescriptor, rule: FieldRule) -> Check | None:
    name, value_check = field.name, _value_check(field, rule)
    if value_check is None and not rule.required:
        return None
    if field.message_type is not None or field.has_presence:

        def check_present(violations: Violations, path: str, message: Any) -> None:
            if message.HasField(name):
                if value_check is not None:
                    value_check(violations, path, getattr(message, name))
            elif rule.required:
                violations.add(path, "is required")

        return check_present

    def check(violations: Violations, path: str, message: Any) -> None:
        value = getattr(message, name)
        if rule.required and not value:
            violations.add(path, "is required")
        elif value_check is not None:
            value_check(violations, path, value)

    return check


def _list_check(field: FieldDescriptor, rule: FieldRule) -> Check | None:
    name, low = field.name, int(rule.required)
    element_check = None if rule.each_alone else _value_check(field, rule)
    high = rule.max_count
    if element_check is None and not (high or low):
        return None

    def check(violations: Violations, path: str, message: Any) -> None:
        elements = getattr(message, name)
        before = len(violations)
        violations.count(path, len(elements), high or len(elements), low=low)
        if element_check is None or len(violations) > before:
            return
        for index, element in enumerate(elements):
            if len(violations) > MAX_VIOLATIONS:
                return
            element_check(violations, f"{path}[{index}]", element)

    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and rule.format == FORMAT_UNSPECIFIED:
        return _texts_check(check, name, rule)
    return check


def _texts_check(check: Check, name: str, rule: FieldRule) -> Check:
    """Looks at long lists of texts (100,000 keys) without making a path for each."""
    low, high = rule.min_bytes, rule.max_bytes or math.inf

    def check_quickly(violations: Violations, path: str, message: Any) -> None:
        elements = getattr(message, name)
        in_order = not rule.max_count or len(elements) <= rule.max_count
        if not in_order or any(not low <= len(each.encode()) <= high for each in elements):
            check(violations, path, message)
        elif rule.required and not elements:
            violations.add(path, "is required")

    return check_quickly


def _map_check(field: FieldDescriptor, rule: FieldRule) -> Check:
    name, entry = field.name, cast("Descriptor", field.message_type)
    value_check = _value_check(entry.fields_by_name["value"], FieldRule())

    def check(violations: Violations, path: str, message: Any) -> None:
        entries = getattr(message, name)
        violations.count(path, len(entries), rule.max_count or len(entries))
        if rule.max_count and len(entries) > rule.max_count:
            return
        for key, value in entries.items():
            at = f"{path}[{quoted(key)}]"
            if rule.max_key_bytes:
                violations.text(f"{at} (its name)", key, rule.max_key_bytes, low=1)
            if value_check is not None:
                value_check(violations, at, value)

    return check


def _value_check(field: FieldDescriptor, rule: FieldRule) -> Check | None:
    if field.message_type is not None:
        return _message_check(field.message_type, rule)
    if field.enum_type is not None:
        return _enum_check(field.enum_type.values_by_number)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _text_check(rule)
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return _double_check(rule)
    return _number_check(rule) if rule.HasField("min") or rule.HasField("max") else None


def _message_check(descriptor: Descriptor, rule: FieldRule) -> Check | None:
    if descriptor.full_name == _TIMESTAMP:
        return _check_timestamp
    if not rule.max_bytes and not _has_rules(descriptor):
        return None

    def check(violations: Violations, path: str, message: Any) -> None:
        size = message.ByteSize() if rule.max_bytes else 0
        if size > rule.max_bytes:
            violations.add(path, f"has {size} bytes; the limit is {rule.max_bytes}")
        else:
            check_message(violations, path, message)

    return check


def _check_timestamp(violations: Violations, path: str, message: Any) -> None:
    if not (_FIRST_SECOND <= message.seconds <= _LAST_SECOND and 0 <= message.nanos < 10**9):
        violations.add(path, "is no time from the year 1 to 9999")


def _enum_check(numbers: Collection[int]) -> Check:

    def check(violations: Violations, path: str, value: Any) -> None:
        if value not in numbers:
            violations.add(path, f"is {value}, which is unknown")

    return check


def _text_check(rule: FieldRule) -> Check | None:
    low, high = rule.min_bytes, rule.max_bytes
    if not (low or high or rule.format):
        return None

    def check(violations: Violations, path: str, value: str) -> None:
        if rule.format == FORMAT_KEY:
            violations.key(path, value)
            return
        if low or high:
            violations.text(path, value, high or len(value.encode()), low=low)
        if rule.format == FORMAT_LINE:
            violations.line(path, value)
        elif rule.format == FORMAT_COLOR and value and not _COLOR.fullmatch(value):
            violations.add(path, f"is {quoted(value)}; a colour is written #rrggbb")

    return check


def _number_check(rule: FieldRule) -> Check:
    low = rule.min if rule.HasField("min") else -math.inf
    high = rule.max if rule.HasField("max") else math.inf

    def check(violations: Violations, path: str, value: float) -> None:
        if not low <= value <= high:
            violations.add(path, f"is {value}; it must be {_range_text(rule)}")

    return check


def _double_check(rule: FieldRule) -> Check:
    in_range = _number_check(rule)

    def check(violations: Violations, path: str, value: float) -> None:
        if math.isfinite(value):
            in_range(violations, path, value)
        else:
            violations.add(path, "is not finite")

    return check


def _range_text(rule: FieldRule) -> str:
    if rule.HasField("min") and rule.HasField("max"):
        return f"from {rule.min:g} to {rule.max:.0f}"
    return f"at least {rule.min:g}" if rule.HasField("min") else f"at most {rule.max:.0f}"
