"""Checks contexts, and who sends them, against their limits, field by field."""

from __future__ import annotations

import math
from collections.abc import Iterator

from featmesh.engine.model import Context
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import context_from_proto
from services.evaluation.limits import (
    ATTRIBUTE_NAME_BYTES,
    ATTRIBUTES,
    KEY_BYTES,
    LIST_ELEMENTS,
    NAME_BYTES,
    SDK_TEXT_BYTES,
    TEXT_BYTES,
)
from services.runtime.errors import InvalidArgument, Violation


def read_context(message: evaluation_pb2.Context, path: str = "context") -> Context:
    """The context of a request; raises `InvalidArgument` with every broken field."""
    violations = list(context_violations(message, path))
    if violations:
        raise InvalidArgument(violations)
    return context_from_proto(message)


def context_violations(message: evaluation_pb2.Context, path: str) -> Iterator[Violation]:
    """What breaks a limit, with its path."""
    yield from text_violations(f"{path}.key", message.key, 1, KEY_BYTES)
    yield from text_violations(f"{path}.name", message.name, 0, NAME_BYTES)
    if len(message.attributes) > ATTRIBUTES:
        text = f"has {len(message.attributes)}; at most {ATTRIBUTES}"
        yield Violation(f"{path}.attributes", text)
        return
    for name, value in message.attributes.items():
        yield from _attribute_violations(f'{path}.attributes["{name[:64]}"]', name, value)


def sdk_violations(sdk: sync_pb2.SdkInfo) -> Iterator[Violation]:
    """What breaks a limit in a request's ``sdk``."""
    yield from text_violations("sdk.name", sdk.name, 0, SDK_TEXT_BYTES)
    yield from text_violations("sdk.version", sdk.version, 0, SDK_TEXT_BYTES)
    yield from text_violations("sdk.instance_id", sdk.instance_id, 0, SDK_TEXT_BYTES)


def text_violations(path: str, text: str, low: int, high: int) -> Iterator[Violation]:
    """A text whose UTF-8 length is not ``low`` to ``high`` bytes."""
    if low and not text:
        yield Violation(path, "is required")
    elif len(text) > high or len(text.encode()) > high:
        yield Violation(path, f"has {len(text.encode())} bytes; at most {high}")


def _attribute_violations(
    path: str, name: str, value: evaluation_pb2.AttributeValue
) -> Iterator[Violation]:
    yield from text_violations(f"{path} (its name)", name, 1, ATTRIBUTE_NAME_BYTES)
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
        yield from text_violations(f"{path}[{index}]", text, 0, TEXT_BYTES)
