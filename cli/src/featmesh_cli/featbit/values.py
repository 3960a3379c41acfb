"""FeatBit's variation values: texts that must be of the flag's type."""

from __future__ import annotations

import json
import math
import re

from featmesh.flag.v1 import value_pb2
from featmesh_cli.featbit.node import Node

VALUE_TYPES = {
    "boolean": value_pb2.VALUE_TYPE_BOOLEAN,
    "string": value_pb2.VALUE_TYPE_STRING,
    "number": value_pb2.VALUE_TYPE_NUMBER,
    "json": value_pb2.VALUE_TYPE_JSON,
}
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def read_value_type(node: Node) -> str:
    """Reads a flag's ``variationType``; empty after a fault."""
    name = node.text()
    if name and name not in VALUE_TYPES:
        node.fault(f'unknown type "{name}"; known are {", ".join(VALUE_TYPES)}')
        return ""
    return name


def read_value(node: Node, type_name: str) -> value_pb2.Value:
    """Reads a variation's value, which is a text, as the type of its flag."""
    text = node.text()
    if not isinstance(node.value, str):
        return value_pb2.Value()
    if type_name == "boolean":
        return _boolean(node, text)
    if type_name == "number":
        return _number(node, text)
    if type_name == "json":
        return _json(node, text)
    return value_pb2.Value(string_value=text)


def _boolean(node: Node, text: str) -> value_pb2.Value:
    lowered = text.strip().lower()
    if lowered not in {"true", "false"}:
        node.fault(f'must be "true" or "false", not {json.dumps(text)}')
    return value_pb2.Value(bool_value=lowered == "true")


def _number(node: Node, text: str) -> value_pb2.Value:
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        node.fault(f"must be a finite number, not {json.dumps(text)}")
    return value_pb2.Value(number_value=number)


def _json(node: Node, text: str) -> value_pb2.Value:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        node.fault(f"must be JSON: {error}")
    return value_pb2.Value(json_value=text)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not allowed")
