"""Frames of the sync streams, as bytes.

A change set's fields have the same numbers in both services' responses, and a serialised
message is the concatenation of its fields. So an item is serialised once, and a frame is a
header and the items' bytes one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import lru_cache
from typing import Final

from featmesh.sync.v1 import sync_pb2
from services.evaluation.limits import FRAME_BYTES, PACKED_BYTES

_CHANGE_SET: Final = b"\x0a"
"""Tag of SyncDefinitionsResponse.change_set and SyncEvaluationsResponse.change_set."""

_ITEM: Final = b"\x2a"
"""Tag of DefinitionChangeSet.items and EvaluationChangeSet.items."""

_RESUME: Final = b"\x32"
"""Tag of DefinitionChangeSet.resume and EvaluationChangeSet.resume."""

_HEADER_BYTES: Final = 128
"""More than a change set's other fields and the tags and lengths around them take."""

_ROOM: Final = FRAME_BYTES - _HEADER_BYTES

_FRAGMENT_BYTES: Final = _ROOM - 32
"""Data of one fragment; its own tags and lengths fit beside it."""


class Kind(IntEnum):
    """How a change set is applied; the wire's numbers."""

    FULL = sync_pb2.CHANGE_KIND_FULL
    PATCH = sync_pb2.CHANGE_KIND_PATCH


Frames = tuple[bytes, ...]


def item_entries(data: bytes) -> tuple[bytes, ...]:
    """A serialised `Item` as entries of a change set: one, or several if larger than a frame."""
    entry = _delimited(_ITEM, data)
    if len(entry) <= _ROOM:
        return (entry,)
    return tuple(_fragments(data))


def result_entry(item: sync_pb2.EvaluationItem) -> bytes:
    """A client's item as an entry of a change set; its limits keep it below a frame."""
    return _delimited(_ITEM, item.SerializeToString())


def resume_entry(epoch: bytes, revision: int, digest: bytes = b"") -> bytes:
    """What an SDK resumes with, as an entry of a change set's last part."""
    token = sync_pb2.ResumeToken(epoch=epoch, revision=revision, digest=digest)
    return _delimited(_RESUME, token.SerializeToString())


def change_set_frames(
    kind: Kind, revision: int, entries: Iterable[bytes], *, resume: bytes
) -> Frames:
    """All frames of one change set: at least one, each at most `FRAME_BYTES`.

    Items share a frame of at most `PACKED_BYTES`; a larger one has a frame of its own.

    ``resume`` is a `resume_entry`, and stands on the last one.
    """
    parts = list(_packed(entries)) or [b""]
    last = len(parts) - 1
    headers = (
        sync_pb2.DefinitionChangeSet(
            kind=sync_pb2.ChangeKind.ValueType(kind),
            revision=revision,
            part=index,
            last=index == last,
        )
        for index in range(len(parts))
    )
    parts[-1] = resume + parts[-1]
    return tuple(
        _delimited(_CHANGE_SET, header.SerializeToString() + part)
        for header, part in zip(headers, parts, strict=True)
    )


@lru_cache(maxsize=64)  # many streams have theirs within the same millisecond
def heartbeat_frame(revision: int, server_time_ms: int) -> bytes:
    """The same bytes on both streams."""
    heartbeat = sync_pb2.Heartbeat(revision=revision, server_time_ms=server_time_ms)
    return sync_pb2.SyncDefinitionsResponse(heartbeat=heartbeat).SerializeToString()


def goodbye_frame(
    reason: sync_pb2.GoodbyeReason.ValueType, reconnect_after_ms: int, jitter_ms: int
) -> bytes:
    """The same bytes on both streams."""
    goodbye = sync_pb2.Goodbye(
        reason=reason, reconnect_after_ms=reconnect_after_ms, jitter_ms=jitter_ms
    )
    return sync_pb2.SyncDefinitionsResponse(goodbye=goodbye).SerializeToString()


def _fragments(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _FRAGMENT_BYTES):
        fragment = sync_pb2.ItemFragment(
            data=data[start : start + _FRAGMENT_BYTES], last=start + _FRAGMENT_BYTES >= len(data)
        )
        yield _delimited(_ITEM, sync_pb2.Item(fragment=fragment).SerializeToString())


def _packed(entries: Iterable[bytes]) -> Iterator[bytes]:
    part: list[bytes] = []
    size = 0
    for entry in entries:
        if part and size + len(entry) > PACKED_BYTES - _HEADER_BYTES:
            yield b"".join(part)
            part, size = [], 0
        part.append(entry)
        size += len(entry)
    if part:
        yield b"".join(part)


def _delimited(tag: bytes, data: bytes) -> bytes:
    return b"".join((tag, _varint(len(data)), data))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
