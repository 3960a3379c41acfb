"""Names of resources: what an operator types, made into what the API takes."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from featmesh_cli.errors import CommandError

SCOPES: Final = ("organizations", "projects", "environments")
"""Collections of the places that hold others, from the outermost to the innermost."""

ABOVE_AN_ID: Final = "-"
"""Stands for the keys above a place that is named by its UUID."""


def scope_name(collection: str, text: str) -> str:
    """Returns the full name of an organization, project or environment.

    Args:
        collection: One of `SCOPES`.
        text: The full name, or the UUID in its place; of an organization also the key.

    Raises:
        CommandError: It is neither.
    """
    above = SCOPES[: SCOPES.index(collection)]
    if "/" in text:
        return text
    if above and not _is_uuid(text):
        form = "/".join(f"{each}/<key>" for each in (*above, collection))
        raise CommandError(f"'{text}' names none of the {collection}: give {form}, or its UUID")
    return "/".join([*(f"{each}/{ABOVE_AN_ID}" for each in above), f"{collection}/{text}"])


def child_name(parent: str, collection: str, text: str) -> str:
    """Returns the full name of what a place holds, from its key, its id or its full name."""
    return text if "/" in text else f"{parent}/{collection}/{text}".lstrip("/")


def environment_of(name: str) -> str:
    """Returns the name of the environment that a flag's or segment's full name lies in."""
    return "/".join(name.split("/")[: 2 * len(SCOPES)])


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
