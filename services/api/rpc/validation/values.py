"""Values of variations, and the JSON documents among them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from featmesh.flag.v1 import value_pb2
from services.runtime.violations import Violations

KINDS: Final[Mapping[int, str]] = {
    value_pb2.VALUE_TYPE_BOOLEAN: "bool_value",
    value_pb2.VALUE_TYPE_STRING: "string_value",
    value_pb2.VALUE_TYPE_NUMBER: "number_value",
    value_pb2.VALUE_TYPE_JSON: "json_value",
}
"""Value type of a flag → the kind that its variations must set."""


JSON_DEPTH: Final = 64
"""Most levels of nesting of a JSON value."""


def check_value(violations: Violations, path: str, value: value_pb2.Value, value_type: int) -> None:
    """Checks one value at ``path``, of a flag of this type."""
    kind, wanted = value.WhichOneof("kind"), KINDS.get(value_type)
    if kind is None:
        violations.add(path, "is required" if wanted is None else f"is required, as {wanted}")
        return
    if wanted is not None and kind != wanted:
        violations.add(path, f"is a {kind}; the flag's value type needs a {wanted}")
    if kind == "json_value":
        _check_json(violations, f"{path}.json_value", value.json_value)


def _check_json(violations: Violations, path: str, text: str) -> None:
    try:
        # Numbers stay text: Python would refuse integers of more than 4,300 digits.
        document = json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except RecursionError:
        violations.add(path, f"is nested deeper than {JSON_DEPTH} levels")
    except ValueError as error:
        violations.add(path, f"is not valid JSON: {error}")
    else:
        if _deeper_than(document, JSON_DEPTH):
            violations.add(path, f"is nested deeper than {JSON_DEPTH} levels")


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
