"""Values of variations, between the engine's model and the wire."""

from __future__ import annotations

import math

from featmesh.engine.model import Value, ValueType
from featmesh.flag.v1 import value_pb2

_TYPE_OF_KIND = {
    "bool_value": ValueType.BOOLEAN,
    "string_value": ValueType.STRING,
    "number_value": ValueType.NUMBER,
    "json_value": ValueType.JSON,
}
_KIND_OF_TYPE = {value_type: kind for kind, value_type in _TYPE_OF_KIND.items()}

_TYPE_TO_PROTO = {
    ValueType.BOOLEAN: value_pb2.VALUE_TYPE_BOOLEAN,
    ValueType.STRING: value_pb2.VALUE_TYPE_STRING,
    ValueType.NUMBER: value_pb2.VALUE_TYPE_NUMBER,
    ValueType.JSON: value_pb2.VALUE_TYPE_JSON,
}
_TYPE_FROM_PROTO = {number: value_type for value_type, number in _TYPE_TO_PROTO.items()}


def value_to_proto(value: Value, value_type: ValueType) -> value_pb2.Value:
    """The message of a value; TypeError if it is not of that type."""
    message = value_pb2.Value()
    setattr(message, _KIND_OF_TYPE[value_type], value)
    return message


def value_from_proto(message: value_pb2.Value) -> tuple[Value, ValueType] | None:
    """A value and its type, or None for one that is not set or not finite."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    value: Value = getattr(message, kind)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value, _TYPE_OF_KIND[kind]


def value_type_to_proto(value_type: ValueType) -> value_pb2.ValueType.ValueType:
    """The enum number of a value type."""
    return _TYPE_TO_PROTO[value_type]


def value_type_from_proto(number: value_pb2.ValueType.ValueType) -> ValueType | None:
    """The value type of an enum number, or None if it is unset or unknown here."""
    return _TYPE_FROM_PROTO.get(number)
