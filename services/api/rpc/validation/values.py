"""Values of variations, and the JSON documents among them."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from featmesh.flag.v1 import value_pb2
from services.api.rpc import limits
from services.api.rpc.validation.faults import Faults

KINDS: Final = {
    value_pb2.VALUE_TYPE_BOOLEAN: "bool_value",
    value_pb2.VALUE_TYPE_STRING: "string_value",
    value_pb2.VALUE_TYPE_NUMBER: "number_value",
    value_pb2.VALUE_TYPE_JSON: "json_value",
}
"""Value type of a flag → the kind that its variations must set."""


def check_value(faults: Faults, path: str, value: value_pb2.Value, value_type: int) -> None:
    """One value at ``path``, of a flag of this type."""
    kind = value.WhichOneof("kind")
    wanted = KINDS.get(value_pb2.ValueType.ValueType(value_type))
    if kind is None:
        faults.add(path, "is required" if wanted is None else f"is required, as {wanted}")
        return
    if wanted is not None and kind != wanted:
        faults.add(path, f"is a {kind}; the flag's value type needs a {wanted}")
    if kind == "string_value":
        faults.text(f"{path}.string_value", value.string_value, limits.VALUE_BYTES)
    elif kind == "json_value":
        _check_json(faults, f"{path}.json_value", value.json_value)
    elif kind == "number_value" and not math.isfinite(value.number_value):
        faults.add(f"{path}.number_value", "is not finite")


def _check_json(faults: Faults, path: str, text: str) -> None:
    if len(text.encode()) > limits.VALUE_BYTES:
        faults.text(path, text, limits.VALUE_BYTES)
        return
    try:
        # Numbers stay text: Python would refuse integers of more than 4,300 digits.
        document = json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except RecursionError:
        faults.add(path, f"is nested deeper than {limits.JSON_DEPTH} levels")
    except ValueError as error:
        faults.add(path, f"is not valid JSON: {error}")
    else:
        if _deeper_than(document, limits.JSON_DEPTH):
            faults.add(path, f"is nested deeper than {limits.JSON_DEPTH} levels")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _deeper_than(document: Any, depth: int) -> bool:
    level = [document]
    for _ in range(depth + 1):
        level = [
            child
            for node in level
            if isinstance(node, list | dict)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return bool(level)
