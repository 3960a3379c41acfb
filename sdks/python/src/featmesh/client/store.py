"""What a client holds: an immutable state that is swapped whole."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from featmesh.client.detail import failure
from featmesh.engine.model import Context, ErrorKind, Flag, Result, Segment
from featmesh.engine.snapshot import Snapshot
from featmesh.errors import ProtocolError
from featmesh.sync.v1 import sync_pb2
from featmesh.wire.changes import DefinitionChanges, EvaluationChanges

logger = logging.getLogger(__name__)

T = TypeVar("T", Flag, Segment, Result)


class DefinitionStore:
    """A server client's flags and segments; one thread writes, any thread reads.

    ``current`` holds the definitions, and others only read it. ``is_loaded`` turns true with
    the first change set; an empty environment's is at 0. ``resume`` is the server's token for
    all of it, for the thread that writes; None if it is not the server's.
    """

    def __init__(self) -> None:
        self.current = Snapshot.empty()
        self.resume: sync_pb2.ResumeToken | None = None
        self.is_loaded = False
        self._reported: frozenset[str] = frozenset()

    @property
    def revision(self) -> int:
        """Revision that is held; 0 for none."""
        return self.current.revision

    def apply(self, changes: DefinitionChanges) -> frozenset[str]:
        """Swaps in the next snapshot.

        Returns:
            Keys of the flags that may answer differently now.

        Raises:
            ProtocolError: A patch leads back in time.
        """
        _check_order(self.revision, changes.revision, full=changes.full)
        before = self.current
        after = _full(changes) if changes.full else _patched(before, changes)
        self.current, self.resume = after, changes.resume
        self.is_loaded = True
        self._report(after.faults)
        return after.affected_by(
            _differing(before.flags, after.flags), _differing(before.segments, after.segments)
        )

    def _report(self, faults: tuple[str, ...]) -> None:
        """Logs each fault when it appears, not at every change."""
        for fault in faults:
            if fault not in self._reported:
                logger.warning("a definition is malformed: %s", fault)
        self._reported = frozenset(faults)


@dataclass(frozen=True, slots=True)
class Results:
    """One context's results at one revision."""

    revision: int = 0
    by_key: Mapping[str, Result] = field(default_factory=lambda: MappingProxyType({}))


class EvaluationStore:
    """A client-side client's results; one thread writes, any thread reads.

    ``current`` holds the results, and others only read it. ``is_loaded`` turns true with the
    first change set; an empty environment's is at 0. ``resume`` is the server's token for all
    of it, for the thread that writes.
    """

    def __init__(self) -> None:
        self.current = Results()
        self.resume: sync_pb2.ResumeToken | None = None
        self.is_loaded = False

    @property
    def revision(self) -> int:
        """Revision that is held; 0 for none."""
        return self.current.revision

    def apply(self, changes: EvaluationChanges) -> frozenset[str]:
        """Swaps in the next results.

        Returns:
            Keys of the flags whose results differ.

        Raises:
            ProtocolError: A patch leads back in time.
        """
        _check_order(self.revision, changes.revision, full=changes.full)
        before = self.current.by_key
        after = {} if changes.full else dict(before)
        for key in changes.absent_flag_keys:
            after.pop(key, None)
        after.update((result.flag_key, result) for result in changes.results)
        self.current = Results(changes.revision, MappingProxyType(after))
        self.resume = changes.resume
        self.is_loaded = True
        return _differing(before, after)


def look_up(results: Results, flag_key: str, _context: Context, _now_ms: int) -> Result:
    """The server's answer, in the place of an evaluation."""
    result = results.by_key.get(flag_key)
    return result or failure(flag_key, ErrorKind.FLAG_NOT_FOUND)


def differing_results(before: Results, after: Results) -> frozenset[str]:
    """Keys of the flags that answer differently in both."""
    return _differing(before.by_key, after.by_key)


def _check_order(held: int, offered: int, *, full: bool) -> None:
    if not full and offered < held:
        raise ProtocolError(f"a patch leads from revision {held} back to {offered}")


def _full(changes: DefinitionChanges) -> Snapshot:
    return Snapshot.build(changes.revision, changes.flags, changes.segments)


def _patched(before: Snapshot, changes: DefinitionChanges) -> Snapshot:
    return before.apply(
        changes.revision,
        flags=changes.flags,
        segments=changes.segments,
        deleted_flag_keys=changes.deleted_flag_keys,
        deleted_segment_ids=changes.deleted_segment_ids,
    )


def _differing(before: Mapping[str, T], after: Mapping[str, T]) -> frozenset[str]:
    """Keys whose items differ; those that two snapshots share are the same object."""
    return frozenset(
        key
        for key in before.keys() | after.keys()
        if before.get(key) is not after.get(key) and before.get(key) != after.get(key)
    )
