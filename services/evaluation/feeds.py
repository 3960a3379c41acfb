"""What server and client SDKs see of an environment."""

from __future__ import annotations

from collections.abc import Iterator

from featmesh.engine import Context, Result, Snapshot, evaluate, evaluate_all
from services.evaluation.clock import now_ms
from services.evaluation.frames import Frames, Kind, change_set_frames
from services.evaluation.view import View


class DefinitionFeed:
    """Flags and segments, from the revision ``since`` that the reader holds (0: nothing)."""

    def __init__(self, since: int) -> None:
        self._held = since
        self._is_first = True

    def frames(self, view: View) -> Frames:
        """Frames that all readers at the same place share."""
        held, self._held = self._held, view.revision
        if held == view.revision and not self._is_first:
            return ()
        self._is_first = False
        return view.patch_frames(held) if view.continues(held) else view.full_frames()


class ClientFeed:
    """One context's results. Only flags that a change can affect are evaluated again."""

    def __init__(self, context: Context, since: int) -> None:
        self._context = context
        self._since = since
        self._shown: Snapshot | None = None

    def frames(self, view: View) -> Frames:
        """The results that differ from those shown before."""
        shown, self._shown = self._shown, view.snapshot
        if shown is None:
            return self._first(view)
        if shown.revision == view.revision:
            return ()
        if not view.continues(shown.revision):
            return self._full(view)
        entries = list(self._differences(shown, view))
        return change_set_frames(Kind.PATCH, view.revision, entries) if entries else ()

    def _first(self, view: View) -> Frames:
        if not view.continues(self._since):
            return self._full(view)
        # What the reader was shown is not known any more: all that may differ is sent.
        now = now_ms()
        return change_set_frames(
            Kind.PATCH,
            view.revision,
            (self._entry(view, key, now) for key in view.affected_since(self._since)),
        )

    def _full(self, view: View) -> Frames:
        results = evaluate_all(view.snapshot, self._context, now_ms())
        entries = (view.result_entry(result) for result in results.values())
        return change_set_frames(Kind.FULL, view.revision, entries)

    def _differences(self, shown: Snapshot, view: View) -> Iterator[bytes]:
        now = now_ms()
        for key in view.affected_since(shown.revision):
            before, after = (self._visible(each, key, now) for each in (shown, view.snapshot))
            if before != after:
                yield self._entry(view, key, now)

    def _visible(self, snapshot: Snapshot, key: str, now: int) -> tuple[object, ...] | None:
        """All of a result that a client can tell apart; None where the flag is absent."""
        if key not in snapshot.live_flags:
            return None
        result = evaluate(snapshot, key, self._context, now)
        return (result.value, result.value_type, *_served(result))

    def _entry(self, view: View, key: str, now: int) -> bytes:
        if key not in view.snapshot.live_flags:
            return view.absent_entry(key)
        return view.result_entry(evaluate(view.snapshot, key, self._context, now))


def _served(result: Result) -> tuple[object, ...]:
    return (
        result.variation_id,
        result.reason,
        result.bucketed,
        result.in_experiment,
        result.error_kind,
    )
