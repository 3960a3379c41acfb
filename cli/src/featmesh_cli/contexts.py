"""Contexts as an operator writes them: a key and `name=value` attributes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NoReturn

import click

from featmesh.engine.model import Attribute, Context

_LARGEST_EXACT = 2**53

user_option = click.option(
    "--user", default="featmesh-cli", show_default=True, help="Key of the context."
)
attribute_option = click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="NAME=VALUE",
    help='An attribute; true, false, 42 and ["a","b"] are what they look like, all else is text.',
)


def context_from(key: str, attributes: Sequence[str]) -> Context:
    """Makes a context.

    Raises:
        click.BadParameter: An attribute is not of the form name=value.
    """
    parsed = dict(map(named_attribute, attributes))
    return Context(key, str(parsed.pop("name", "")), parsed)


def named_attribute(option: str) -> tuple[str, Attribute]:
    """Name and value of an attribute.

    Raises:
        click.BadParameter: The option is not of the form name=value.
    """
    name, equals, text = option.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{option!r} is not NAME=VALUE", param_hint="--attribute")
    return name, attribute_from_text(text)


def attribute_from_text(text: str) -> Attribute:
    """What a text looks like: a boolean, a number, a JSON text or list of texts, else itself.

    A whole number that no double holds exactly is text: an id must not lose digits.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return float(value) if abs(value) <= _LARGEST_EXACT else text
    if isinstance(value, float):
        return value if math.isfinite(value) else text
    if isinstance(value, list) and all(isinstance(element, str) for element in value):
        return tuple(value)
    return text


def attribute_to_text(value: Attribute) -> str:
    """A text that `attribute_from_text` takes for this attribute again."""
    if isinstance(value, str):
        return value if attribute_from_text(value) == value and value else _json(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return _json(list(value))
    whole = value.is_integer() and abs(value) <= _LARGEST_EXACT
    return str(int(value)) if whole else repr(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
