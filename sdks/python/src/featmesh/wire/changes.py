"""Change sets, put together from their parts: a change is had as a whole or not at all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError

from featmesh.engine.model import Flag, Result, Segment
from featmesh.errors import ProtocolError
from featmesh.sync.v1 import sync_pb2
from featmesh.wire.definitions import flag_from_proto, segment_from_proto
from featmesh.wire.results import result_from_proto

MAX_CHANGE_SET_BYTES = 64 * 1024 * 1024
"""A change set of more, over all of its parts, is refused."""


@dataclass(frozen=True, slots=True)
class DefinitionChanges:
    """One change of an environment's definitions; `full` replaces all that is held.

    `resume` is the server's token for all that is held then; None if it gave none.
    """

    full: bool
    revision: int
    flags: tuple[Flag, ...] = ()
    segments: tuple[Segment, ...] = ()
    deleted_flag_keys: tuple[str, ...] = ()
    deleted_segment_ids: tuple[str, ...] = ()
    resume: sync_pb2.ResumeToken | None = None


@dataclass(frozen=True, slots=True)
class EvaluationChanges:
    """One change of a context's results; `full` replaces all that is held.

    `resume` is the server's token for all that is held then; None if it gave none.
    """

    full: bool
    revision: int
    results: tuple[Result, ...] = ()
    absent_flag_keys: tuple[str, ...] = ()
    resume: sync_pb2.ResumeToken | None = None


Part = TypeVar("Part", sync_pb2.DefinitionChangeSet, sync_pb2.EvaluationChangeSet)
Changes = TypeVar("Changes")


class _Assembler(ABC, Generic[Part, Changes]):
    """Checks the order of parts and counts their size; the subclass keeps the items."""

    def __init__(self) -> None:
        self._head: tuple[int, int] | None = None
        self._next_part = 0
        self._size = 0
        self._begin()

    def add(self, part: Part) -> Changes | None:
        """Takes the next part; returns the whole change with the last one, else None.

        After the last part, and after an error, the next part begins another change set.

        Raises:
            ProtocolError: The part is out of order, of another revision or kind than the
                parts before it, or makes the change set larger than 64 MiB; or its items
                cannot be read.
        """
        try:
            self._check(part)
            self._take(part)
            changes = self._finish(part) if part.last else None
        except ProtocolError:
            self._reset()
            raise
        if changes is not None:
            self._reset()
        return changes

    def _check(self, part: Part) -> None:
        if part.part != self._next_part:
            message = f"part {part.part} of a change set came where part {self._next_part} was due"
            raise ProtocolError(message)
        if part.kind not in {sync_pb2.CHANGE_KIND_FULL, sync_pb2.CHANGE_KIND_PATCH}:
            raise ProtocolError(f"a change set is of the unknown kind {part.kind}")
        head = (part.kind, part.revision)
        if self._head not in {None, head}:
            raise ProtocolError(f"parts of one change set differ: {self._head} and {head}")
        self._size += part.ByteSize()
        if self._size > MAX_CHANGE_SET_BYTES:
            raise ProtocolError(f"a change set is larger than {MAX_CHANGE_SET_BYTES} bytes")
        self._head = head
        self._next_part += 1

    def _reset(self) -> None:
        self._head = None
        self._next_part = 0
        self._size = 0
        self._begin()

    @abstractmethod
    def _begin(self) -> None:
        """Forgets all items."""

    @abstractmethod
    def _take(self, part: Part) -> None:
        """Keeps the items of one part."""

    @abstractmethod
    def _finish(self, part: Part) -> Changes:
        """The whole change; `part` is its last one."""


class DefinitionAssembler(_Assembler[sync_pb2.DefinitionChangeSet, DefinitionChanges]):
    """Puts a server SDK's change sets together. One per stream."""

    def _begin(self) -> None:
        self._flags: list[Flag] = []
        self._segments: list[Segment] = []
        self._deleted_flag_keys: list[str] = []
        self._deleted_segment_ids: list[str] = []
        self._fragments: list[bytes] = []

    def _take(self, part: sync_pb2.DefinitionChangeSet) -> None:
        for item in part.items:
            if item.WhichOneof("item") == "fragment":
                self._take_fragment(item.fragment)
            elif self._fragments:
                raise ProtocolError("an item came between the fragments of another one")
            else:
                self._take_item(item)

    def _take_item(self, item: sync_pb2.Item) -> None:
        kind = item.WhichOneof("item")
        if kind == "flag":
            self._flags.append(flag_from_proto(item.flag))
        elif kind == "segment":
            self._segments.append(segment_from_proto(item.segment))
        elif kind == "deleted_flag_key":
            self._deleted_flag_keys.append(item.deleted_flag_key)
        elif kind == "deleted_segment_id":
            self._deleted_segment_ids.append(item.deleted_segment_id)
        # None: a kind of item that only a newer SDK knows; this one does without it.

    def _take_fragment(self, fragment: sync_pb2.ItemFragment) -> None:
        self._fragments.append(fragment.data)
        if fragment.last:
            self._take_item(_joined(self._fragments))
            self._fragments = []

    def _finish(self, part: sync_pb2.DefinitionChangeSet) -> DefinitionChanges:
        if self._fragments:
            raise ProtocolError("a change set ended amid the fragments of an item")
        return DefinitionChanges(
            full=part.kind == sync_pb2.CHANGE_KIND_FULL,
            revision=part.revision,
            flags=tuple(self._flags),
            segments=tuple(self._segments),
            deleted_flag_keys=tuple(self._deleted_flag_keys),
            deleted_segment_ids=tuple(self._deleted_segment_ids),
            resume=_token(part),
        )


class EvaluationAssembler(_Assembler[sync_pb2.EvaluationChangeSet, EvaluationChanges]):
    """Puts a client SDK's change sets together. One per stream."""

    def _begin(self) -> None:
        self._results: list[Result] = []
        self._absent_flag_keys: list[str] = []

    def _take(self, part: sync_pb2.EvaluationChangeSet) -> None:
        for item in part.items:
            kind = item.WhichOneof("item")
            if kind == "result":
                self._results.append(result_from_proto(item.result))
            elif kind == "absent_flag_key":
                self._absent_flag_keys.append(item.absent_flag_key)
            # None: a kind of item that only a newer SDK knows.

    def _finish(self, part: sync_pb2.EvaluationChangeSet) -> EvaluationChanges:
        return EvaluationChanges(
            full=part.kind == sync_pb2.CHANGE_KIND_FULL,
            revision=part.revision,
            results=tuple(self._results),
            absent_flag_keys=tuple(self._absent_flag_keys),
            resume=_token(part),
        )


def _token(
    part: sync_pb2.DefinitionChangeSet | sync_pb2.EvaluationChangeSet,
) -> sync_pb2.ResumeToken | None:
    """A copy, since the part's own would keep all of the part in memory."""
    if not part.HasField("resume"):
        return None
    token = sync_pb2.ResumeToken()
    token.CopyFrom(part.resume)
    return token


def _joined(fragments: Iterable[bytes]) -> sync_pb2.Item:
    try:
        item = sync_pb2.Item.FromString(b"".join(fragments))
    except DecodeError as error:
        raise ProtocolError("the fragments of an item do not join to one") from error
    if item.WhichOneof("item") == "fragment":
        raise ProtocolError("the fragments of an item join to another fragment")
    return item
