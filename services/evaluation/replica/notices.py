"""What a notice tells of a change."""

from __future__ import annotations

from collections.abc import Iterable

from featmesh.errors import ProtocolError
from featmesh.messaging.v1.messaging_pb2 import ChangeNotice
from featmesh.wire import DefinitionAssembler
from services.storage.model.definitions import Definitions, Tombstone


def changes_in(notice: ChangeNotice, since: int) -> Definitions | None:
    """All that is new for a reader at ``since``; None if the notice does not tell it."""
    copy = notice.inline
    if copy.since != since:
        return None
    try:
        changes = DefinitionAssembler().add(copy.changes)
    except ProtocolError:
        return None
    if changes is None or changes.full or changes.revision != notice.revision:
        return None
    return Definitions(
        environment_id=notice.environment_id,
        revision=changes.revision,
        floor=copy.floor,
        flags=changes.flags,
        segments=changes.segments,
        deleted_flags=_tombstones(changes.deleted_flag_keys, changes.revision),
        deleted_segments=_tombstones(changes.deleted_segment_ids, changes.revision),
    )


def _tombstones(keys: Iterable[str], revision: int) -> tuple[Tombstone, ...]:
    return tuple(Tombstone(key, revision) for key in keys)
