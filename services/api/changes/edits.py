"""What an operator's change is made of, before the store has seen it."""

from __future__ import annotations

from dataclasses import dataclass

from services.storage.model.actor import Actor
from services.storage.model.changes import DEFAULT_OPTIONS, AnyItemChange, WriteOptions
from services.storage.model.resource import AnyStored

Planned = AnyItemChange | AnyStored
"""A resource's part of a change, or the resource itself if it is to stay as it is."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """Who writes, why, and how; the same for all items of one call."""

    actor: Actor
    comment: str = ""
    options: WriteOptions = DEFAULT_OPTIONS


@dataclass(frozen=True, slots=True)
class Label:
    """What an operator says of an item beside its definition."""

    display_name: str
    description: str = ""
    tags: tuple[str, ...] = ()


def named(stored: AnyStored) -> str:
    """The resource for a message."""
    return f"{stored.kind.label} '{stored.key}'"
