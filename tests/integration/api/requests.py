"""The least request that each method takes, made from its descriptor."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from featmesh.options.v1.options_pb2 import FORMAT_COLOR, FORMAT_KEY, FieldRule
from services.api.rpc.methods import Method
from services.runtime.field_rules import rule_of
from tests.support.api import boolean_flag, flag_resource

_COLOR: Final = "#336699"


def least_request(method: Method, name: str) -> Any:
    """Returns a well-formed request about what ``name`` names."""
    request: Any = method.request()
    fill(request)
    flag = getattr(getattr(request, "resource", None), "flag", None)
    if flag is not None:
        flag.CopyFrom(boolean_flag("key"))
    if "flags" in request.DESCRIPTOR.fields_by_name:
        request.flags.append(flag_resource("key"))
    if "update_mask" in request.DESCRIPTOR.fields_by_name:
        resource = getattr(request, request.DESCRIPTOR.fields[0].name)
        resource.Clear()
        resource.display_name = "Renamed"
    if "options" in request.DESCRIPTOR.fields_by_name:
        request.options.validate_only = True
    set_name(request, method.access.resource_field, name)
    return request


def set_name(request: Any, path: str, name: str) -> None:
    """Sets the field that the access of the method is judged on, if there is one."""
    if not path:
        return
    *above, field = path.split(".")
    for part in above:
        request = getattr(request, part)
    setattr(request, field, name)


def fill(message: Any) -> None:
    """Sets what the rules of fields require."""
    for field in message.DESCRIPTOR.fields:
        rule = rule_of(message.DESCRIPTOR, field.name)
        if rule.required and not rule.output_only:
            _fill_field(message, field, rule)


def _fill_field(message: Any, field: FieldDescriptor, rule: FieldRule) -> None:
    if field.message_type is not None:
        holder = getattr(message, field.name)
        inner = holder.add() if field.is_repeated else holder
        inner.SetInParent()
        fill(inner)
        return
    value = _value(field, rule)
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def _value(field: FieldDescriptor, rule: FieldRule) -> Any:
    if field.cpp_type != FieldDescriptor.CPPTYPE_STRING:
        return max(1, int(rule.min))
    return {FORMAT_KEY: "key", FORMAT_COLOR: _COLOR}.get(rule.format, "text")
