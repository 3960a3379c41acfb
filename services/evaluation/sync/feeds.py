"""What a stream sends: definitions, the same for all, or one context's results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from featmesh.engine import evaluate
from featmesh.engine.evaluate import READS_CLOCK
from featmesh.engine.model import Context, ErrorKind, Result
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import result_to_proto
from services.evaluation.broadcast.frames import Frames, Kind, change_set_frames, result_entry
from services.evaluation.clock import ClockMs
from services.evaluation.replica.view import Move, View

_NOT_THERE: Final = ErrorKind.FLAG_NOT_FOUND


class Feed(Protocol):
    """Turns views into frames for one stream."""

    def first(self, view: View, since: int) -> tuple[Kind, Frames]:
        """The first change set, never without a frame.

        The reader is known to hold ``since`` of the view's history; 0 for anything else.
        """
        ...

    def next(self, view: View, sent: int) -> Frames:
        """What changed since the view at revision ``sent``; may be nothing."""
        ...


class DefinitionFeed:
    """Flags and segments as they are; all its frames are shared by every stream.

    ``revision`` and ``digest`` are of what the reader says that it holds, of whichever history;
    0 and empty for nothing.
    """

    __slots__ = ("_digest", "_revision")

    def __init__(self, revision: int = 0, digest: bytes = b"") -> None:
        self._revision = revision
        self._digest = digest

    def first(self, view: View, since: int) -> tuple[Kind, Frames]:
        revision, digest, self._digest = self._revision, self._digest, view.digest
        if view.continues(since):
            return Kind.PATCH, view.patch_frames(since)
        if view.holds_the_same(revision, digest):
            return Kind.PATCH, view.patch_frames(view.revision)
        return Kind.FULL, view.full_frames()

    def next(self, view: View, sent: int) -> Frames:
        if not view.continues(sent):
            self._revision = sent
            return self.first(view, 0)[1]
        self._digest = view.digest
        return view.patch_frames(sent)


class EvaluationFeed:
    """One context's results: only what a change can affect is evaluated again.

    It keeps the view that it sent last, which all streams share, instead of results of its
    own: those of thousands of flags for each of thousands of streams would fill the memory.
    What a change affects is evaluated in both views, and what differs for a client, who
    sees no rule, is sent.
    """

    __slots__ = ("_clock_ms", "_context", "_view")

    def __init__(self, context: Context, clock_ms: ClockMs) -> None:
        self._context = context
        self._clock_ms = clock_ms
        self._view: View | None = None

    def first(self, view: View, since: int) -> tuple[Kind, Frames]:
        self._view = view
        if not view.continues(since):
            results = self._evaluated(view, view.snapshot.live_flag_keys())
            return Kind.FULL, _frames(Kind.FULL, view, results.values(), ())
        affected = view.affected_since(since)
        results = self._evaluated(view, affected)
        absent = affected - results.keys()
        return Kind.PATCH, _frames(Kind.PATCH, view, results.values(), absent)

    def next(self, view: View, sent: int) -> Frames:
        earlier, self._view = self._view, view
        if earlier is None or not view.continues(sent):
            return self.first(view, 0)[1]
        now_ms = self._now_ms()
        held, new, context = earlier.snapshot, view.snapshot, self._context
        moves: list[Move] = []
        for key in view.affected_since(sent):
            before = evaluate(held, key, context, now_ms)
            after = evaluate(new, key, context, now_ms)
            if before is not after:
                moves.append((_if_there(before), _if_there(after)))
        return view.shared_moves(moves, _patch) if moves else ()

    def _evaluated(self, view: View, keys: Iterable[str]) -> dict[str, Result]:
        """Without flags that are not there."""
        now_ms = self._now_ms()
        results = ((key, evaluate(view.snapshot, key, self._context, now_ms)) for key in keys)
        return {key: result for key, result in results if result.error_kind is not _NOT_THERE}

    def _now_ms(self) -> int:
        return self._clock_ms() if READS_CLOCK else 0


def _if_there(result: Result) -> Result | None:
    """None for a flag that is not there."""
    return None if result.error_kind is _NOT_THERE else result


def _patch(view: View, moves: Sequence[Move]) -> Frames:
    """What a client is told of them: nothing where it would see no difference."""
    absent = [before.flag_key for before, after in moves if before is not None and after is None]
    changed = [after for before, after in moves if after is not None and _differs(before, after)]
    return _frames(Kind.PATCH, view, changed, absent) if changed or absent else ()


def _differs(before: Result | None, after: Result) -> bool:
    return before is None or _seen(before) != _seen(after)


def _seen(result: Result) -> tuple[object, ...]:
    """What a client sees of a result; a new revision of the flag alone is no difference."""
    return (
        result.value,
        type(result.value),  # True == 1.0
        result.value_type,
        result.variation_id,
        result.reason,
        result.bucketed,
        result.in_experiment,
        result.error_kind,
    )


def _frames(kind: Kind, view: View, results: Iterable[Result], absent: Iterable[str]) -> Frames:
    items = [
        *(
            sync_pb2.EvaluationItem(result=result_to_proto(each, for_client=True))
            for each in results
        ),
        *(sync_pb2.EvaluationItem(absent_flag_key=key) for key in absent),
    ]
    entries = map(result_entry, items)
    return change_set_frames(kind, view.revision, entries, resume=view.client_resume)
