"""One item's part of an operator's change, before the store has seen it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.storage.model.changes import PLAINLY, Request, Write
from services.storage.model.items import FlagRecord, ItemMeta, Record


@dataclass(frozen=True, slots=True)
class Mutation:
    """Who writes, why, and how; the same for all edits of one call."""

    actor: str
    comment: str = ""
    request: Request = PLAINLY


@dataclass(frozen=True, slots=True)
class Label:
    """What an operator says of an item beside its definition."""

    name: str
    description: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edit:
    """What an item was and shall be: None before creates, None after deletes.

    ``path`` is where the item's definition stands in the request, empty if the request
    only names it. An edit whose ``after`` is its ``before`` writes nothing. ``revives``, if
    set, is the version of the tombstone that a creation must continue.
    """

    operation: str
    before: Record | None
    after: Record | None
    path: str = ""
    revives: int = 0

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.before is not self.after

    def write(self) -> Write:
        """As the store takes it."""
        return Write(self.operation, self.before, self.after, self.revives)


def created_meta(label: Label, mutation: Mutation) -> ItemMeta:
    """Of an item that is new now."""
    now = datetime.now(UTC)
    return ItemMeta(
        name=label.name,
        description=label.description,
        tags=label.tags,
        created_at=now,
        created_by=mutation.actor,
        updated_at=now,
        updated_by=mutation.actor,
    )


def updated_meta(meta: ItemMeta, mutation: Mutation, label: Label | None = None) -> ItemMeta:
    """Of an item that has a next version now, with a new label if one is given."""
    meta = replace(meta, updated_at=datetime.now(UTC), updated_by=mutation.actor)
    if label is None:
        return meta
    return replace(meta, name=label.name, description=label.description, tags=label.tags)


def named(record: Record) -> str:
    """The item for a message."""
    kind = "flag" if isinstance(record, FlagRecord) else "segment"
    return f"{kind} '{record.item.key}'"
