"""OpenFeature's evaluation context as a FeatMesh context."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from openfeature.evaluation_context import EvaluationContext

from featmesh.engine.attributes import text_of
from featmesh.engine.model import Attribute, Context


def context_from(evaluation_context: EvaluationContext | None, anonymous_key: str) -> Context:
    """The context that is evaluated for.

    The targeting key is the key and the attribute ``name`` the name. Dates become RFC 3339
    text (UTC where they name no zone), sequences lists of single values. What has no
    counterpart, such as a dictionary or None, is left out, as if it were not there.
    """
    if evaluation_context is None:
        return Context(anonymous_key)
    name = evaluation_context.attributes.get("name")
    return Context(
        key=evaluation_context.targeting_key or anonymous_key,
        name=name if isinstance(name, str) else "",
        attributes=_attributes(evaluation_context.attributes),
    )


def _attributes(given: Mapping[str, object]) -> dict[str, Attribute]:
    converted = ((key, _attribute(value)) for key, value in given.items())
    return {key: value for key, value in converted if value is not None}


def _attribute(value: object) -> Attribute | None:
    if isinstance(value, list | tuple):
        return tuple(text for text in map(_text, value) if text is not None)
    return _single(value)


def _single(value: object) -> str | float | bool | None:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return value if isinstance(value, str | bool | int | float) else None


def _text(value: object) -> str | None:
    single = _single(value)
    return text_of(single)
