"""What replicas are told of a change."""

from __future__ import annotations

from typing import Final

from featmesh.engine.model import Flag
from featmesh.messaging.v1.messaging_pb2 import ChangeNotice, InlineChanges
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import flag_to_proto, segment_to_proto
from services.storage.model.changes import AnyItemChange, Change, Committed
from services.storage.model.resource import AnyStored

COPIED_ITEMS: Final = 64
COPIED_BYTES: Final = 64 * 1024
"""Of a change that is larger, replicas ask the store: each has a queue that holds its notice."""


def plain_notice(environment_id: str, revision: int) -> ChangeNotice:
    """Environment and revision, and nothing else."""
    return ChangeNotice(environment_id=environment_id, revision=revision)


def notice_of(change: Change, committed: Committed) -> ChangeNotice:
    """Returns the notice of a change, with a copy of what was written if it is little."""
    notice = plain_notice(change.scope_id, committed.revision)
    if committed.since and len(change.items) <= COPIED_ITEMS:
        inline = _inline_of(change, committed)
        if inline is not None and inline.ByteSize() <= COPIED_BYTES:
            notice.inline.CopyFrom(inline)
    return notice


def _inline_of(change: Change, committed: Committed) -> InlineChanges | None:
    written = zip(change.items, committed.resources, strict=True)
    try:
        items = [_item(item, stored) for item, stored in written]
    except TypeError:  # a value that is not of its flag's type, past all checks
        return None
    changes = sync_pb2.DefinitionChangeSet(
        kind=sync_pb2.CHANGE_KIND_PATCH, revision=committed.revision, items=items, last=True
    )
    return InlineChanges(since=committed.since, floor=committed.floor, changes=changes)


def _item(item: AnyItemChange, stored: AnyStored | None) -> sync_pb2.Item:
    if stored is None:
        return _deleted(item.before)
    definition = stored.content.definition
    if isinstance(definition, Flag):
        return sync_pb2.Item(flag=flag_to_proto(definition))
    return sync_pb2.Item(segment=segment_to_proto(definition))


def _deleted(before: AnyStored | None) -> sync_pb2.Item:
    if before is None:
        raise ValueError("a change needs a resource before or after it")
    definition = before.content.definition
    if isinstance(definition, Flag):
        return sync_pb2.Item(deleted_flag_key=definition.key)
    return sync_pb2.Item(deleted_segment_id=definition.id)
