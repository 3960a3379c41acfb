"""Counts how far an environment's streams have come: handed a revision, and applied it.

A push is the product's hot path, so what it costs here is two counters of streams and one of
durations. How many are at or past a revision is for the reader to add up.
"""

from __future__ import annotations

from typing import Final

from services.storage.census import RevisionCensus, StreamCensus
from services.storage.durations import Durations, bucket_of

TRACKED_REVISIONS: Final = 32
"""Newest revisions of an environment that are told apart; whoever stands at none is behind."""


class _Mark:
    """One revision: streams that stand exactly there, and how long those that took it needed.

    Times are counted by the millisecond, and put into buckets whenever they are read.
    """

    __slots__ = ("applied", "applied_times", "handed", "handed_times", "previous", "revision")

    previous: _Mark | None

    def __init__(self, revision: int, previous: _Mark | None = None) -> None:
        self.revision = revision
        self.previous = previous
        self.handed = 0
        self.applied = 0
        self.handed_times = _Times()
        self.applied_times = _Times()

    def taken(self) -> RevisionCensus:
        handed, applied = self.handed_times.bucketed(), self.applied_times.bucketed()
        return RevisionCensus(self.revision, self.handed, self.applied, handed, applied)


class _Times(dict[int, int]):
    """Streams by the milliseconds that they needed: at most one entry for each stream."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}

    def bucketed(self) -> Durations:
        buckets = self._buckets
        for milliseconds, streams in self.items():
            bucket = bucket_of(milliseconds)
            buckets[bucket] = buckets.get(bucket, 0) + streams
        self.clear()
        return dict(buckets)


class Standing:
    """Where one stream stands.

    ``told`` is the last revision of which the stream was sent anything, ``first`` the one
    that it was opened at: it took part in no earlier rollout.
    """

    __slots__ = ("applied", "first", "handed", "instance_id", "told")

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        self.handed = self.applied = _NOWHERE
        self.told = self.first = 0


_NOWHERE: Final = _Mark(0)
"""Where streams stand that hold nothing; its counters are nobody's."""


class Census:
    """Of one environment's streams in this process. ``changed`` is for whoever writes it down."""

    def __init__(self) -> None:
        self.changed = False
        self._streams = 0
        self._instances: dict[str, tuple[Standing, ...]] = {}
        self._marks: dict[int, _Mark] = {}
        self._newest = _NOWHERE

    def __len__(self) -> int:
        """Streams that are connected."""
        return self._streams

    def track(self, revision: int) -> None:
        """The environment is at this revision now; before any stream is handed it."""
        if revision <= self._newest.revision:
            self._marks = {}  # the store went back: what was counted means nothing now
        previous = self._newest if self._marks else None
        self._newest = self._marks[revision] = _Mark(revision, previous)
        if len(self._marks) > TRACKED_REVISIONS:
            del self._marks[next(iter(self._marks))]
            self._marks[next(iter(self._marks))].previous = None
        self.changed = True

    def join(self, instance_id: str) -> Standing:
        """A new stream; the SDK of one without an instance id reports nothing."""
        standing = Standing(instance_id)
        if instance_id:
            twins = self._instances.get(instance_id, ())
            self._instances[instance_id] = (*twins, standing)
        self._streams += 1
        self.changed = True
        return standing

    def holds(self, standing: Standing, since: int) -> None:
        """The stream's SDK comes with this revision, handed and applied elsewhere."""
        if since <= self._newest.revision:  # else of a store that went back since
            mark = self._mark(since)
            mark.handed += 1
            mark.applied += 1
            standing.handed = standing.applied = mark
            standing.told = since
            self.changed = True

    def leave(self, standing: Standing) -> None:
        """The stream has ended."""
        twins = self._instances.get(standing.instance_id, ())
        others = tuple(each for each in twins if each is not standing)
        if others:
            self._instances[standing.instance_id] = others
        else:
            self._instances.pop(standing.instance_id, None)
        standing.handed.handed -= 1
        standing.applied.applied -= 1
        self._streams -= 1
        self.changed = True

    def opened(self, standing: Standing, revision: int, now_ms: int) -> None:
        """The first change set is handed over: how long that took says nothing of a rollout."""
        mark = self._mark(revision)
        standing.handed.handed -= 1
        mark.handed += 1
        standing.handed = mark
        standing.told = standing.first = revision
        if not standing.instance_id:
            self._apply(standing, mark, now_ms)
        self.changed = True

    def handed(self, standing: Standing, revision: int, now_ms: int, told: bool) -> None:
        """The stream is at ``revision``; ``told`` is False where nothing in it was for it."""
        mark, before = self._newest, standing.handed
        if mark.revision != revision:
            mark = self._mark(revision)
        before.handed -= 1
        mark.handed += 1
        standing.handed = mark
        passed: _Mark | None = mark
        while passed is not None and passed.revision > before.revision:
            times, milliseconds = passed.handed_times, now_ms - passed.revision
            times[milliseconds] = times.get(milliseconds, 0) + 1
            passed = passed.previous
        if told:
            standing.told = revision
            if standing.instance_id:  # its SDK will say so
                self.changed = True
                return
        if not standing.instance_id or standing.applied.revision >= before.revision:
            self._apply(standing, mark, now_ms)
        self.changed = True

    def applied(self, instance_id: str, revision: int, at_ms: int) -> bool:
        """An SDK says that it has applied a revision; False when its stream is not here.

        Who has applied all that it was told stands where it was handed to, since later
        revisions had nothing for it.
        """
        standings = self._instances.get(instance_id, ())
        for standing in standings:
            reached = min(revision, self._newest.revision)
            if revision >= standing.told:
                reached = max(reached, standing.handed.revision)
            past = standing.applied.revision
            if reached > past or past > self._newest.revision:  # the store went back
                self._apply(standing, self._mark(reached), at_ms)
                self.changed = True
        return bool(standings)

    def taken(self, environment_id: str) -> StreamCensus:
        """As it is now."""
        revisions = tuple(mark.taken() for mark in self._marks.values())
        return StreamCensus(environment_id, self._streams, revisions)

    def _apply(self, standing: Standing, mark: _Mark, at_ms: int) -> None:
        before = standing.applied
        before.applied -= 1
        mark.applied += 1
        standing.applied = mark
        after = max(before.revision, standing.first)
        passed: _Mark | None = mark
        while passed is not None and passed.revision > after:
            times, milliseconds = passed.applied_times, at_ms - passed.revision
            times[milliseconds] = times.get(milliseconds, 0) + 1
            passed = passed.previous

    def _mark(self, revision: int) -> _Mark:
        """Of a revision that is not tracked: one that nobody reads."""
        return self._marks.get(revision) or _Mark(revision)
