"""Contexts as an operator writes them: a key and `name=value` attributes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from featmesh.engine.model import Attribute, Context

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
    parsed: dict[str, Attribute] = {}
    for attribute in attributes:
        name, equals, text = attribute.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{attribute!r} is not NAME=VALUE", param_hint="--attribute")
        parsed[name] = _value(text)
    return Context(key, str(parsed.pop("name", "")), parsed)


def _value(text: str) -> Attribute:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list) and all(isinstance(element, str) for element in value):
        return tuple(value)
    return text
