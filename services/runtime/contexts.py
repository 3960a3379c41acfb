"""Contexts, checked field by field by the limits of evaluation.proto.

Half the work of `field_rules`: contexts come with every stream, evaluation and new user.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from featmesh.evaluation.v1 import evaluation_pb2
from services.runtime.errors import Violation
from services.runtime.field_rules import rule_of

_CONTEXT: Final = evaluation_pb2.Context.DESCRIPTOR
_VALUE: Final = evaluation_pb2.AttributeValue.DESCRIPTOR
_LIST: Final = evaluation_pb2.StringList.DESCRIPTOR

KEY_BYTES: Final = rule_of(_CONTEXT, "key").max_bytes
"""Most bytes of a context's key."""

NAME_BYTES: Final = rule_of(_CONTEXT, "name").max_bytes
"""Most bytes of its name."""

ATTRIBUTES: Final = rule_of(_CONTEXT, "attributes").max_count
"""Largest number of its attributes."""

ATTRIBUTE_NAME_BYTES: Final = rule_of(_CONTEXT, "attributes").max_key_bytes
"""Most bytes of an attribute's name."""

TEXT_BYTES: Final = rule_of(_VALUE, "string_value").max_bytes
"""Most bytes of an attribute's text."""

LIST_ELEMENTS: Final = rule_of(_LIST, "values").max_count
"""Largest number of texts in a list."""

ELEMENT_BYTES: Final = rule_of(_LIST, "values").max_bytes
"""Most bytes of a text in a list."""


def context_violations(message: evaluation_pb2.Context, path: str) -> Iterator[Violation]:
    """What breaks a limit, with its path."""
    yield from text_violations(f"{path}.key", message.key, 1, KEY_BYTES)
    yield from text_violations(f"{path}.name", message.name, 0, NAME_BYTES)
    if len(message.attributes) > ATTRIBUTES:
        text = f"has {len(message.attributes)}; at most {ATTRIBUTES}"
        yield Violation(f"{path}.attributes", text)
        return
    for name, value in message.attributes.items():
        at = f'{path}.attributes["{name[:64]}"]'
        yield from text_violations(f"{at} (its name)", name, 1, ATTRIBUTE_NAME_BYTES)
        yield from value_violations(at, value)


def text_violations(path: str, text: str, low: int, high: int) -> Iterator[Violation]:
    """A text whose UTF-8 length is not ``low`` to ``high`` bytes."""
    if low and not text:
        yield Violation(path, "is required")
    elif len(text) > high or len(text.encode()) > high:
        yield Violation(path, f"has {len(text.encode())} bytes; at most {high}")


def value_violations(path: str, value: evaluation_pb2.AttributeValue) -> Iterator[Violation]:
    """What breaks a limit in the value of an attribute."""
    kind = value.WhichOneof("kind")
    if kind is None:
        yield Violation(path, "has no value")
    elif kind == "string_value":
        yield from text_violations(path, value.string_value, 0, TEXT_BYTES)
    elif kind == "number_value" and not math.isfinite(value.number_value):
        yield Violation(path, "is not a finite number")
    elif kind == "list_value":
        yield from _list_violations(path, value.list_value)


def _list_violations(path: str, values: evaluation_pb2.StringList) -> Iterator[Violation]:
    if len(values.values) > LIST_ELEMENTS:
        yield Violation(path, f"has {len(values.values)} elements; at most {LIST_ELEMENTS}")
        return
    for index, text in enumerate(values.values):
        yield from text_violations(f"{path}[{index}]", text, 0, ELEMENT_BYTES)
