"""Contexts, between the engine's model and the wire."""

from __future__ import annotations

from collections.abc import Collection

from featmesh.engine.attributes import text_of
from featmesh.engine.model import Attribute, Context
from featmesh.engine.numbers import as_double
from featmesh.evaluation.v1 import evaluation_pb2


def context_to_proto(context: Context, *, private: Collection[str] = ()) -> evaluation_pb2.Context:
    """The message of a context, without what it or the caller calls private.

    Numbers become doubles, elements of a list texts. An attribute that is no text, number,
    boolean or list is left out, as the engine takes it for missing.

    Raises:
        UnicodeEncodeError: A text cannot be written in UTF-8.
    """
    hidden = {*_names(context.private), *_names(private)}
    name = "" if "name" in hidden else context.name
    message = evaluation_pb2.Context(key=context.key, name=name)
    for name, value in context.attributes.items():
        if name in hidden:
            continue
        encoded = attribute_to_proto(value)
        if encoded is not None:
            message.attributes[name].CopyFrom(encoded)
    return message


def context_from_proto(message: evaluation_pb2.Context) -> Context:
    """A context; an attribute that is not set is left out. Limits are not looked at."""
    attributes: dict[str, Attribute] = {}
    for name, encoded in message.attributes.items():
        value = attribute_from_proto(encoded)
        if value is not None:
            attributes[name] = value
    return Context(message.key, message.name, attributes)


def _names(names: Collection[str]) -> Collection[str]:
    """The names; a single text is one name and not its letters."""
    return (names,) if isinstance(names, str) else names


def attribute_to_proto(value: object) -> evaluation_pb2.AttributeValue | None:
    """The message of an attribute; None when it is no text, number, boolean or list."""
    if isinstance(value, str):
        return evaluation_pb2.AttributeValue(string_value=value)
    if isinstance(value, bool):
        return evaluation_pb2.AttributeValue(bool_value=value)
    if isinstance(value, int | float):
        return evaluation_pb2.AttributeValue(number_value=as_double(value))
    if isinstance(value, tuple | list):
        texts = [text for text in map(text_of, value) if text is not None]
        return evaluation_pb2.AttributeValue(list_value=evaluation_pb2.StringList(values=texts))
    return None


def attribute_from_proto(message: evaluation_pb2.AttributeValue) -> Attribute | None:
    """An attribute; None when it is not set."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "list_value":
        return tuple(message.list_value.values)
    value: Attribute = getattr(message, kind)
    return value
