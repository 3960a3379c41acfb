"""Counts how far an environment's streams have come: handed a revision, and applied it.

A push is the product's hot path, so what it costs here is two counters of streams and one of
arrivals, however many revisions the stream passes at once. How many are at or past a revision is
for the reader to add up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.storage.model.durations import bucket_of
from services.storage.model.progress import RevisionProgress, StreamProgress

TRACKED_REVISIONS: Final = 32
"""Newest revisions of an environment that are told apart; whoever stands at none is behind."""


class _LatencyHistogram:
    """How long streams took to a revision.

    ``arrivals`` counts those that came here, by the revision that they came from and the time in
    ms: at most one entry for each stream. They count for all that they passed as well, and are
    put into the ``buckets`` of each whenever these are read.
    """

    __slots__ = ("arrivals", "buckets")

    def __init__(self) -> None:
        self.arrivals: dict[tuple[int, int], int] = {}
        self.buckets: dict[int, int] = {}

    def note(self, after: int, at_ms: int) -> None:
        """A stream came here from this revision."""
        arrivals, key = self.arrivals, (after, at_ms)
        arrivals[key] = arrivals.get(key, 0) + 1


class _RevisionCounter:
    """One revision: streams that stand exactly there, and how long those that took it needed."""

    __slots__ = ("applied", "applying", "delivered", "delivering", "previous", "revision")

    previous: _RevisionCounter | None

    def __init__(self, revision: int, previous: _RevisionCounter | None = None) -> None:
        self.revision = revision
        self.previous = previous
        self.delivered = 0
        self.applied = 0
        self.delivering = _LatencyHistogram()
        self.applying = _LatencyHistogram()

    def fold(self, passage: Callable[[_RevisionCounter], _LatencyHistogram]) -> None:
        """Puts those that came here into the buckets of all revisions that they passed."""
        arrivals = passage(self).arrivals
        for (after, at_ms), streams in arrivals.items():
            passed: _RevisionCounter | None = self
            while passed is not None and passed.revision > after:
                buckets, bucket = passage(passed).buckets, bucket_of(at_ms - passed.revision)
                buckets[bucket] = buckets.get(bucket, 0) + streams
                passed = passed.previous
        arrivals.clear()

    def taken(self) -> RevisionProgress:
        delivered, applied = dict(self.delivering.buckets), dict(self.applying.buckets)
        return RevisionProgress(self.revision, self.delivered, self.applied, delivered, applied)


def _delivering(counter: _RevisionCounter) -> _LatencyHistogram:
    return counter.delivering


def _applying(counter: _RevisionCounter) -> _LatencyHistogram:
    return counter.applying


class StreamPosition:
    """Where one stream stands.

    ``last_delivered`` is the last revision of which the stream was sent anything, ``first`` the one
    that it was opened at: it took part in no earlier rollout.
    """

    __slots__ = ("applied", "delivered", "first", "instance_id", "last_delivered")

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        self.delivered = self.applied = _UNKNOWN
        self.last_delivered = self.first = 0


_UNKNOWN: Final = _RevisionCounter(0)
"""Where streams stand that hold nothing; its counters are nobody's."""


class ProgressTracker:
    """Of one environment's streams in this process. ``changed`` is for whoever writes it down."""

    def __init__(self) -> None:
        self.changed = False
        self._streams = 0
        self._instances: dict[str, tuple[StreamPosition, ...]] = {}
        self._counters: dict[int, _RevisionCounter] = {}
        self._newest = _UNKNOWN

    def __len__(self) -> int:
        """Streams that are connected."""
        return self._streams

    def track(self, revision: int) -> None:
        """The environment is at this revision now; before any stream is handed it."""
        if revision <= self._newest.revision:
            self._counters = {}  # the store went back: what was counted means nothing now
        previous = self._newest if self._counters else None
        self._newest = self._counters[revision] = _RevisionCounter(revision, previous)
        if len(self._counters) > TRACKED_REVISIONS:
            del self._counters[next(iter(self._counters))]
            self._counters[next(iter(self._counters))].previous = None
        self.changed = True

    def join(self, instance_id: str) -> StreamPosition:
        """A new stream; the SDK of one without an instance id reports nothing."""
        position = StreamPosition(instance_id)
        if instance_id:
            twins = self._instances.get(instance_id, ())
            self._instances[instance_id] = (*twins, position)
        self._streams += 1
        self.changed = True
        return position

    def holds(self, position: StreamPosition, since: int) -> None:
        """The stream's SDK comes with this revision, handed and applied elsewhere."""
        if since <= self._newest.revision:  # else of a store that went back since
            counter = self._counter(since)
            counter.delivered += 1
            counter.applied += 1
            position.delivered = position.applied = counter
            position.last_delivered = since
            self.changed = True

    def leave(self, position: StreamPosition) -> None:
        """The stream has ended."""
        twins = self._instances.get(position.instance_id, ())
        others = tuple(each for each in twins if each is not position)
        if others:
            self._instances[position.instance_id] = others
        else:
            self._instances.pop(position.instance_id, None)
        position.delivered.delivered -= 1
        position.applied.applied -= 1
        self._streams -= 1
        self.changed = True

    def opened(self, position: StreamPosition, revision: int, now_ms: int) -> None:
        """The first change set is handed over: how long that took says nothing of a rollout."""
        counter = self._counter(revision)
        position.delivered.delivered -= 1
        counter.delivered += 1
        position.delivered = counter
        position.last_delivered = position.first = revision
        if not position.instance_id:
            self._apply(position, counter, now_ms)
        self.changed = True

    def delivered(self, position: StreamPosition, revision: int, now_ms: int, is_new: bool) -> None:
        """The stream is at ``revision``; unless ``is_new`` nothing in it was for it."""
        counter, before = self._newest, position.delivered
        if counter.revision != revision:
            counter = self._counter(revision)
        before.delivered -= 1
        counter.delivered += 1
        position.delivered = counter
        counter.delivering.note(before.revision, now_ms)
        if is_new:
            position.last_delivered = revision
            if position.instance_id:  # its SDK will say so
                self.changed = True
                return
        if not position.instance_id or position.applied.revision >= before.revision:
            self._apply(position, counter, now_ms)
        self.changed = True

    def applied(self, instance_id: str, revision: int, at_ms: int) -> bool:
        """An SDK says that it has applied a revision; False when its stream is not here.

        Who has applied all that it was told stands where it was handed to, since later
        revisions had nothing for it.
        """
        positions = self._instances.get(instance_id, ())
        for position in positions:
            reached = min(revision, self._newest.revision)
            if revision >= position.last_delivered:
                reached = max(reached, position.delivered.revision)
            past = position.applied.revision
            if reached > past or past > self._newest.revision:  # the store went back
                self._apply(position, self._counter(reached), at_ms)
                self.changed = True
        return bool(positions)

    def taken(self, environment_id: str) -> StreamProgress:
        """As it is now."""
        for counter in self._counters.values():
            counter.fold(_delivering)
            counter.fold(_applying)
        revisions = tuple(counter.taken() for counter in self._counters.values())
        return StreamProgress(environment_id, self._streams, revisions)

    def _apply(self, position: StreamPosition, counter: _RevisionCounter, at_ms: int) -> None:
        before = position.applied
        before.applied -= 1
        counter.applied += 1
        position.applied = counter
        counter.applying.note(max(before.revision, position.first), at_ms)

    def _counter(self, revision: int) -> _RevisionCounter:
        """Of a revision that is not tracked: one that nobody reads."""
        return self._counters.get(revision) or _RevisionCounter(revision)
