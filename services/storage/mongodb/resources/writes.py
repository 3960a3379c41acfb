"""One write of a change, checked against what is stored and turned into documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pymongo import InsertOne, ReplaceOne

from services.runtime.errors import AlreadyExists, InvalidArgument, StaleVersion
from services.storage.model.changes import Change, Write
from services.storage.model.items import FlagRecord, Record
from services.storage.mongodb.driver.client import Document
from services.storage.mongodb.resources.documents import (
    flag_document,
    flag_record,
    segment_document,
    segment_record,
)

FLAG = "flag"
SEGMENT = "segment"
COLLECTIONS = {FLAG: "flags", SEGMENT: "segments"}


@dataclass(frozen=True, slots=True)
class Head:
    """What is stored of an item: its last version, and whether that is a tombstone.

    One that is ``compacted`` is in the history only.
    """

    version: int
    deleted: bool
    compacted: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What a write is about; ``item`` is a flag's key or a segment's id."""

    kind: str
    item: str
    key: str
    document_id: str
    write: Write

    @property
    def label(self) -> str:
        """As the audit log and messages name it."""
        return f"{self.kind}/{self.key}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A write that may be done: the document as it will be, over ``replaces`` if any."""

    target: Target
    document: Document
    replaces: Head | None

    def operation(self) -> InsertOne[Document] | ReplaceOne[Document]:
        """The write of the item, guarded by the version that it was checked against."""
        if self.replaces is None or self.replaces.compacted:
            return InsertOne(self.document)
        guard = {"_id": self.target.document_id, "version": self.replaces.version}
        return ReplaceOne(guard, self.document)

    def record(self) -> Record | None:
        """As callers see it; None for a tombstone."""
        return record_of(self.target.kind, self.document)


def targets_of(change: Change) -> tuple[Target, ...]:
    """One for each write; raises `InvalidArgument` for two writes of the same item."""
    targets = tuple(_target_of(change.environment_id, write) for write in change.writes)
    seen: set[tuple[str, str]] = set()
    for position, target in enumerate(targets):
        if (target.kind, target.item) in seen:
            field = f"writes[{position}]"
            raise InvalidArgument.of(field, f"{target.label} is written twice in one change")
        seen.add((target.kind, target.item))
    return targets


def outcome_of(target: Target, head: Head | None, change: Change, revision: int) -> Outcome:
    """What the write leads to; raises `AlreadyExists` or `StaleVersion`."""
    _check(target, head)
    version = head.version + 1 if head else 1
    after = target.write.after
    document: Document = {"_id": target.document_id, "environment": change.environment_id}
    if after is None:
        document |= {"id": target.item, "key": target.key, "deleted": True}
        document |= {"version": version, "revision": revision}
    elif isinstance(after, FlagRecord):
        flag = replace(after.item, version=version, revision=revision)
        document |= {"deleted": False, **flag_document(replace(after, item=flag))}
    else:
        segment = replace(after.item, version=version, revision=revision)
        document |= {"deleted": False, **segment_document(replace(after, item=segment))}
    return Outcome(target, document, head)


def identity_of(record: Record) -> tuple[str, str]:
    """Kind, and a flag's key or a segment's id."""
    if isinstance(record, FlagRecord):
        return FLAG, record.item.key
    return SEGMENT, record.item.id


def record_of(kind: str, document: Document) -> Record | None:
    """The record in an item's document or history; None in a tombstone."""
    if document["deleted"]:
        return None
    return flag_record(document) if kind == FLAG else segment_record(document)


def record_json(record: Record | None) -> str:
    """A record as JSON text for the audit log; empty for None."""
    if record is None:
        return ""
    fields = flag_document(record) if isinstance(record, FlagRecord) else segment_document(record)
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=_iso)


def in_safe_order(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Deletions, then replacements, then creations: a key is free before it is taken again."""
    return sorted(outcomes, key=lambda one: (not one.document["deleted"], one.replaces is None))


def _target_of(environment_id: str, write: Write) -> Target:
    record = write.after or write.before
    if record is None:
        raise ValueError("a write needs a record before or after it")
    kind, item = identity_of(record)
    if write.before is not None and identity_of(write.before) != (kind, item):
        raise ValueError(f"a write cannot turn one item into another: {kind} {item!r}")
    return Target(kind, item, record.item.key, f"{environment_id}/{item}", write)


def _check(target: Target, head: Head | None) -> None:
    before, revives = target.write.before, target.write.revives
    alive = head is not None and not head.deleted
    if before is None and not revives:
        if alive:
            raise AlreadyExists(f"{target.label} already exists")
        return
    current, based_on = head.version if head else 0, before.item.version if before else revives
    if current != based_on or alive is (before is None):
        raise StaleVersion(
            f"{target.label} is at version {current}, not {based_on}", current_version=str(current)
        )


def _iso(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
