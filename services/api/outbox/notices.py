"""What replicas are told of a change."""

from __future__ import annotations

from typing import Final

from featmesh.messaging.v1.messaging_pb2 import ChangeNotice, InlineChanges
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import flag_to_proto, segment_to_proto
from services.storage.model.changes import Change, Committed, Write
from services.storage.model.items import FlagRecord, Record

COPIED_ITEMS: Final = 64
COPIED_BYTES: Final = 64 * 1024
"""Of a change that is larger, replicas ask the store: each has a queue that holds its notice."""


def plain_notice(environment_id: str, revision: int) -> ChangeNotice:
    """Environment and revision, and nothing else."""
    return ChangeNotice(environment_id=environment_id, revision=revision)


def notice_of(change: Change, committed: Committed) -> ChangeNotice:
    """With a copy of what was written, if it is little."""
    notice = plain_notice(change.environment_id, committed.revision)
    if committed.since and len(change.writes) <= COPIED_ITEMS:
        copy = _inline_of(change, committed)
        if copy is not None and copy.ByteSize() <= COPIED_BYTES:
            notice.inline.CopyFrom(copy)
    return notice


def _inline_of(change: Change, committed: Committed) -> InlineChanges | None:
    written = zip(change.writes, committed.records, strict=True)
    try:
        items = [_item(write, record) for write, record in written]
    except TypeError:  # a value that is not of its flag's type, past all checks
        return None
    changes = sync_pb2.DefinitionChangeSet(
        kind=sync_pb2.CHANGE_KIND_PATCH, revision=committed.revision, items=items, last=True
    )
    return InlineChanges(since=committed.since, floor=committed.floor, changes=changes)


def _item(write: Write, record: Record | None) -> sync_pb2.Item:
    if record is None:
        return _deleted(write.before)
    if isinstance(record, FlagRecord):
        return sync_pb2.Item(flag=flag_to_proto(record.item))
    return sync_pb2.Item(segment=segment_to_proto(record.item))


def _deleted(before: Record | None) -> sync_pb2.Item:
    if before is None:
        raise ValueError("a write needs a record before or after it")
    if isinstance(before, FlagRecord):
        return sync_pb2.Item(deleted_flag_key=before.item.key)
    return sync_pb2.Item(deleted_segment_id=before.item.id)
