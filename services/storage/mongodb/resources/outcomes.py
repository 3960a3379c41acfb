"""One item of a change, checked against what is stored and turned into documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne

from services.runtime.errors import AlreadyExists, InvalidArgument, StaleVersion
from services.storage.model.actor import Actor
from services.storage.model.changes import AnyItemChange, Change
from services.storage.model.resource import AnyKind, AnyStored
from services.storage.mongodb.driver.client import Document
from services.storage.mongodb.resources.codecs import (
    actor_document,
    codec_of,
    document_of,
    identity,
    stored_of,
)
from services.storage.mongodb.resources.deltas import changed_fields
from services.storage.mongodb.resources.history import CHAIN, Entry, entry_of

Operation = InsertOne[Document] | ReplaceOne[Document] | UpdateOne | DeleteOne


@dataclass(frozen=True, slots=True)
class Moment:
    """When a change is written, by whom, and the revision that it makes, if any."""

    time: datetime
    actor: Actor
    revision: int


@dataclass(frozen=True, slots=True)
class Head:
    """The last version of an item: its document, whole for kinds that are not synced.

    One that is ``compacted`` is in the history only.
    """

    document: Document
    compacted: bool = False

    @property
    def version(self) -> int:
        """Of what is stored."""
        version: int = self.document["version"]
        return version

    @property
    def deleted(self) -> bool:
        """Whether it is a tombstone."""
        return bool(self.document.get("deleted"))


@dataclass(frozen=True, slots=True)
class Target:
    """What an item of a change is about; ``item`` is its id within the scope."""

    change: AnyItemChange
    id: str
    item: str
    key: str

    @property
    def kind(self) -> AnyKind:
        """The item's kind."""
        return self.change.kind

    @property
    def label(self) -> str:
        """As messages name it."""
        return f"{self.kind.label} {self.key!r}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A write that may be done: the document as it will be, over ``head`` if there is one."""

    target: Target
    document: Document
    head: Head | None
    entry: Entry

    @property
    def is_deletion(self) -> bool:
        """Whether nothing, or a tombstone, is left."""
        return self.target.change.after is None

    def operation(self) -> Operation:
        """The write of the item, guarded by the version that it was checked against."""
        if self.head is None or self.head.compacted:
            return InsertOne(self.document)
        guard = {"_id": self.target.id, "version": self.head.version}
        if self.entry.delta is not None and self.target.kind.synced:
            return self._update(guard, changed_fields(self.entry.delta) | {CHAIN})
        if self.target.kind.synced:
            return ReplaceOne(guard, self.document)
        if self.is_deletion:
            return DeleteOne(guard)
        before = self.head.document
        changed = [name for name, value in self.document.items() if before.get(name) != value]
        return self._update(guard, changed)

    def stored(self) -> AnyStored | None:
        """As callers see it; None where it is deleted."""
        return None if self.is_deletion else stored_of(self.target.kind, self.document)

    def _update(self, guard: Document, fields: Iterable[str]) -> UpdateOne:
        # In place, so that a large item is not sent again.
        return UpdateOne(guard, {"$set": {field: self.document[field] for field in fields}})


def targets_of(change: Change) -> tuple[Target, ...]:
    """One for each item; raises `InvalidArgument` for two changes of the same resource."""
    targets = tuple(_target_of(change.scope_id, item) for item in change.items)
    seen: set[tuple[str, str]] = set()
    for position, target in enumerate(targets):
        if (target.kind.name, target.id) in seen:
            field = f"items[{position}]"
            raise InvalidArgument.of(field, f"{target.label} is changed twice at once")
        seen.add((target.kind.name, target.id))
    return targets


def outcome_of(target: Target, head: Head | None, scope_id: str, moment: Moment) -> Outcome:
    """What the change of the item leads to; raises `AlreadyExists` or `StaleVersion`."""
    _check(target, head)
    document = _document(target, head, scope_id, moment)
    entry = entry_of(document, _base(target, head), head.document if head else {})
    if entry.chain is not None:
        document[CHAIN] = entry.chain
    return Outcome(target, document, head, entry)


def in_safe_order(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Deletions, then replacements, then creations: a key is free before it is taken again."""
    return sorted(outcomes, key=lambda one: (not one.is_deletion, one.head is None))


def _target_of(scope_id: str, change: AnyItemChange) -> Target:
    kind, before = change.kind, change.before
    if before is not None and before.is_basic:
        raise ValueError(f"a change of {kind.name} cannot start from a row of a basic list")
    content = change.after if before is None else before.content
    if content is None:
        raise ValueError("an item of a change needs what was or what shall be")
    if kind.local_id:
        item = kind.local_id(content)
        resource_id = f"{scope_id}/{item}"
    else:
        item = resource_id = before.meta.id if before else change.id or str(uuid4())
    if before is not None and not _is_same(change, scope_id, resource_id):
        raise ValueError(f"a change cannot turn {kind.name} {item!r} into another or move it")
    return Target(change, resource_id, item, kind.key_of(content) if kind.key_of else item)


def _is_same(change: AnyItemChange, scope_id: str, resource_id: str) -> bool:
    before, after, kind = change.before, change.after, change.kind
    if before is None or before.meta.id != resource_id or before.meta.scope_id != scope_id:
        return False
    if after is None:
        return True
    if kind.local_id:
        return kind.local_id(after) == kind.local_id(before.content)
    return kind.key_of is None or kind.key_of(after) == kind.key_of(before.content)


def _check(target: Target, head: Head | None) -> None:
    change = target.change
    alive = head is not None and not head.deleted
    if change.before is None and not change.restores_version:
        if alive:
            raise AlreadyExists(f"{target.label} already exists")
        return
    current = head.version if head else 0
    read = change.before.meta.version if change.before else change.restores_version
    expected = change.expected_version or read
    if current not in {read} & {expected} or alive is (change.before is None):
        text = f"{target.label} is at version {current}, not {expected}"
        raise StaleVersion(text, current_version=str(current))


def _document(target: Target, head: Head | None, scope_id: str, moment: Moment) -> Document:
    change, kind = target.change, target.kind
    updated = {"updated_at": moment.time, "updated_by": actor_document(moment.actor)}
    document = identity(kind, scope_id, target.id)
    if head is not None and not kind.synced:
        document |= {name: value for name, value in head.document.items() if name != CHAIN}
    if change.after is None:
        document |= {"id": target.item, "key": target.key, "deleted": True}
    else:
        document |= codec_of(kind).fields(change.after)
    document |= _created(target, head, moment) | updated
    document["version"] = head.version + 1 if head else 1
    if kind.synced:
        document["revision"] = moment.revision
    return document


def _created(target: Target, head: Head | None, moment: Moment) -> Document:
    """Who made it and when; of what is deleted and comes back, who made it first."""
    change = target.change
    if change.before is not None:
        meta = change.before.meta
        return {"created_at": meta.created_at, "created_by": actor_document(meta.created_by)}
    if change.restores_version and head is not None and "created_at" in head.document:
        return {name: head.document[name] for name in ("created_at", "created_by")}
    return {"created_at": moment.time, "created_by": actor_document(moment.actor)}


def _base(target: Target, head: Head | None) -> Document | None:
    """The whole document of the version before, if a delta may start from it."""
    before = target.change.before
    if before is None or target.change.after is None or head is None:
        return None
    return document_of(before) if target.kind.synced else head.document
