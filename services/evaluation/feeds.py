"""What a stream sends: definitions, the same for all, or one context's results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from featmesh.engine import evaluate
from featmesh.engine.model import Context, ErrorKind, Result
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import result_to_proto
from services.evaluation.frames import Frames, Kind, change_set_frames, result_entry
from services.evaluation.view import View

ClockMs = Callable[[], int]
"""Milliseconds since the epoch."""

_NOT_THERE: Final = ErrorKind.FLAG_NOT_FOUND


class Feed(Protocol):
    """Turns views into frames for one stream."""

    def first(self, view: View, since: int) -> Frames:
        """The first change set, for a reader that holds ``since``; never without a frame."""
        ...

    def next(self, view: View, sent: int) -> Frames:
        """What changed since the view at revision ``sent``; may be nothing."""
        ...


class DefinitionFeed:
    """Flags and segments as they are; all its frames are shared by every stream."""

    def first(self, view: View, since: int) -> Frames:
        return view.patch_frames(since) if view.continues(since) else view.full_frames()

    def next(self, view: View, sent: int) -> Frames:
        return self.first(view, sent)


class EvaluationFeed:
    """One context's results: only what a change can affect is evaluated again.

    It remembers the results that were sent (they are the engine's own objects, shared by
    all contexts), and sends those that differ for a client, who sees no rule.
    """

    def __init__(self, context: Context, clock_ms: ClockMs) -> None:
        self._context = context
        self._clock_ms = clock_ms
        self._sent: dict[str, Result] = {}

    def first(self, view: View, since: int) -> Frames:
        self._sent = dict(self._evaluated(view, view.snapshot.live_flag_keys()))
        if not view.continues(since):
            return _frames(Kind.FULL, view, self._sent.values(), ())
        affected = view.affected_since(since)
        results = [result for key, result in self._sent.items() if key in affected]
        return _frames(Kind.PATCH, view, results, affected - self._sent.keys())

    def next(self, view: View, sent: int) -> Frames:
        if not view.continues(sent):
            return self.first(view, 0)
        affected = view.affected_since(sent)
        results = dict(self._evaluated(view, affected))
        absent = [key for key in affected if key not in results and key in self._sent]
        changed = [each for key, each in results.items() if _differs(self._sent.get(key), each)]
        for key in absent:
            del self._sent[key]
        self._sent.update(results)
        if not changed and not absent:
            return ()
        return _frames(Kind.PATCH, view, changed, absent)

    def _evaluated(self, view: View, keys: Iterable[str]) -> Iterator[tuple[str, Result]]:
        now_ms = self._clock_ms()
        for key in keys:
            result = evaluate(view.snapshot, key, self._context, now_ms)
            if result.error_kind is not _NOT_THERE:
                yield key, result


def _differs(before: Result | None, after: Result) -> bool:
    return before is None or (before is not after and _seen(before) != _seen(after))


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
    return change_set_frames(kind, view.revision, map(result_entry, items))
