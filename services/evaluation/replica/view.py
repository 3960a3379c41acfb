"""An environment at one revision, as its streams read it: immutable, and swapped whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from featmesh.engine import Snapshot
from featmesh.engine.model import Result
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import flag_to_proto, segment_to_proto
from services.evaluation.broadcast.frames import (
    Frames,
    Kind,
    change_set_frames,
    item_entries,
    resume_entry,
)
from services.evaluation.limits import PATCH_CACHE
from services.storage.model.definitions import Definitions


@dataclass(frozen=True, slots=True)
class _Encoded:
    """One item's bytes; ``live`` is False for a tombstone."""

    revision: int
    entries: tuple[bytes, ...]
    live: bool = True
    digest: int = 0
    """SHA-256 of the serialised item as a number; 0 for a tombstone."""


Encoded = Mapping[str, _Encoded]

K = TypeVar("K")
T = TypeVar("T")

Move = tuple[Result | None, Result | None]
"""A flag's result for one context before and after a change; None where it is not there."""

_DIGEST_BYTES: Final = hashlib.sha256().digest_size
_DIGESTS: Final = 1 << 8 * _DIGEST_BYTES

SHARED_MOVES: Final = 8
"""Streams whose results move in more flags at once than this share no frames."""


@dataclass(slots=True, eq=False)
class View:
    """The snapshot, every item's encoded bytes, and the frames that streams share.

    Frames are made on first use and kept: a full set once, a patch once for each revision
    that streams come from (the newest `PATCH_CACHE` of them), and what clients are told once
    for each way in which their results move: a flag's results are few objects for many contexts.
    """

    snapshot: Snapshot
    floor: int
    _segments: Encoded
    _flags: Encoded
    epoch: bytes = b""
    """Of the history that the revision belongs to."""
    digest: bytes = bytes(_DIGEST_BYTES)
    """Of all that is not deleted: the sum of the items' SHA-256, modulo 2^256.

    The same in every replica, whatever way led there; a change costs as much as it is large.
    """
    revision: int = field(init=False)
    """The environment's; a field, since every stream asks for it several times in a push."""
    client_resume: bytes = field(init=False)
    """What client SDKs resume with, as an entry of their frames: it tells nothing of rules."""
    _resume: bytes = field(init=False)
    _full: Frames | None = field(default=None, init=False)
    _patches: dict[int, Frames] = field(default_factory=dict, init=False)
    _affected: dict[int, frozenset[str]] = field(default_factory=dict, init=False)
    _moves: dict[tuple[int, ...], tuple[Sequence[Move], Frames]] = field(
        default_factory=dict, init=False
    )

    def __post_init__(self) -> None:
        self.revision = self.snapshot.revision
        self.client_resume = resume_entry(self.epoch, self.revision)
        self._resume = resume_entry(self.epoch, self.revision, self.digest)

    @classmethod
    def of(cls, definitions: Definitions) -> View:
        """Everything anew."""
        empty = cls(Snapshot.empty(), definitions.floor, {}, {}, definitions.epoch)
        return empty.after(definitions)

    def after(self, changes: Definitions) -> View:
        """The view after the changes that follow this one's revision, in its epoch."""
        snapshot = self.snapshot.apply(
            changes.revision,
            flags=changes.flags,
            segments=changes.segments,
            deleted_flag_keys=[each.key for each in changes.deleted_flags],
            deleted_segment_ids=[each.key for each in changes.deleted_segments],
        )
        floor = max(self.floor, changes.floor)
        new_segments, new_flags = _encoded_segments(changes), _encoded_flags(changes)
        moved = _moved(self._segments, new_segments) + _moved(self._flags, new_flags)
        digest = (int.from_bytes(self.digest) + moved) % _DIGESTS
        segments, flags = {**self._segments, **new_segments}, {**self._flags, **new_flags}
        if floor > self.floor:
            segments, flags = _without_dead(segments, floor), _without_dead(flags, floor)
        return View(snapshot, floor, segments, flags, self.epoch, digest.to_bytes(_DIGEST_BYTES))

    def replaced_by(self, everything: Definitions) -> View:
        """The view of a store that went back, or forgot deletions that this one misses.

        No stream goes on from a revision up to this one's: it may stand for a change that
        the store does not know.
        """
        after = View.of(everything)
        after.floor = max(self.floor, everything.floor, self.revision + 1)
        return after

    def continues(self, since: int) -> bool:
        """Whether a reader that holds ``since``, of this history, needs the difference only."""
        return 0 < since <= self.revision and since >= self.floor

    def holds_the_same(self, since: int, digest: bytes) -> bool:
        """Whether a reader that holds ``since`` with this digest needs the revision only.

        One that is ahead does not go back by a patch.
        """
        return 0 < since <= self.revision and digest == self.digest

    def full_frames(self) -> Frames:
        """Everything that is not deleted."""
        if self._full is None:
            self._full = change_set_frames(
                Kind.FULL, self.revision, self._entries(-1, deleted=False), resume=self._resume
            )
        return self._full

    def patch_frames(self, since: int) -> Frames:
        """What changed after ``since``, tombstones included; an empty patch if nothing did."""
        frames = self._patches.get(since)
        if frames is None:
            frames = change_set_frames(
                Kind.PATCH, self.revision, self._entries(since, deleted=True), resume=self._resume
            )
            _keep(self._patches, since, frames)
        return frames

    def affected_since(self, since: int) -> frozenset[str]:
        """Keys of flags whose result may differ from that at ``since``, deleted ones too."""
        affected = self._affected.get(since)
        if affected is None:
            affected = self.snapshot.affected_by(
                [key for key, item in self._flags.items() if item.revision > since],
                [key for key, item in self._segments.items() if item.revision > since],
            )
            _keep(self._affected, since, affected)
        return affected

    def shared_moves(
        self, moves: Sequence[Move], encode: Callable[[View, Sequence[Move]], Frames]
    ) -> Frames:
        """Frames that ``encode`` makes of these moves, or made of the same ones before."""
        if len(moves) > SHARED_MOVES:
            return encode(self, moves)
        key: tuple[int, ...]
        if len(moves) == 1:  # most changes are of one flag
            key = (id(moves[0][0]), id(moves[0][1]))
        else:
            key = tuple([id(result) for move in moves for result in move])
        known = self._moves.get(key)
        if known is None:  # the moves are kept with their frames, so that no id is used again
            known = moves, encode(self, moves)
            _keep(self._moves, key, known)
        return known[1]

    def _entries(self, since: int, *, deleted: bool) -> Iterator[bytes]:
        # Segments first: a flag never stands before a segment that it uses.
        for items in (self._segments, self._flags):
            for item in items.values():
                if item.revision > since and (item.live or deleted):
                    yield from item.entries


def _without_dead(items: Encoded, floor: int) -> dict[str, _Encoded]:
    """Tombstones below the floor serve nobody any more."""
    return {key: item for key, item in items.items() if item.live or item.revision >= floor}


def _keep(cache: dict[K, T], key: K, value: T) -> None:
    while len(cache) >= PATCH_CACHE:
        del cache[next(iter(cache))]
    cache[key] = value


def _encoded_segments(changes: Definitions) -> dict[str, _Encoded]:
    dead = {
        each.key: _encoded(each.revision, sync_pb2.Item(deleted_segment_id=each.key), live=False)
        for each in changes.deleted_segments
    }
    live = {
        each.id: _encoded(each.revision, sync_pb2.Item(segment=segment_to_proto(each)))
        for each in changes.segments
    }
    return {**dead, **live}


def _encoded_flags(changes: Definitions) -> dict[str, _Encoded]:
    dead = {
        each.key: _encoded(each.revision, sync_pb2.Item(deleted_flag_key=each.key), live=False)
        for each in changes.deleted_flags
    }
    live = {
        each.key: _encoded(each.revision, sync_pb2.Item(flag=flag_to_proto(each)))
        for each in changes.flags
    }
    return {**dead, **live}


def _encoded(revision: int, item: sync_pb2.Item, *, live: bool = True) -> _Encoded:
    # Deterministic, since every replica has to come to the same digest.
    data = item.SerializeToString(deterministic=True)
    digest = int.from_bytes(hashlib.sha256(data).digest()) if live else 0
    return _Encoded(revision, item_entries(data), live, digest)


def _moved(before: Encoded, after: Encoded) -> int:
    """What these items add to the sum of digests, in the place of those before."""
    left = sum(before[key].digest for key in after if key in before)
    return sum(item.digest for item in after.values()) - left
