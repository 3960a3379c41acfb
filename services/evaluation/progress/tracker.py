"""Counts how far an environment's streams have come: handed a revision, and applied it.

A push is the product's hot path, so what it costs here is two counters of streams and one of
arrivals, however many revisions the stream passes at once. How many are at or past a revision is
for the reader to add up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.storage.model.durations import bucket_of
from services.storage.model.progress import RevisionCensus, StreamCensus

TRACKED_REVISIONS: Final = 32
"""Newest revisions of an environment that are told apart; whoever stands at none is behind."""


class _Passage:
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


class _Mark:
    """One revision: streams that stand exactly there, and how long those that took it needed."""

    __slots__ = ("applied", "applying", "handed", "handing", "previous", "revision")

    previous: _Mark | None

    def __init__(self, revision: int, previous: _Mark | None = None) -> None:
        self.revision = revision
        self.previous = previous
        self.handed = 0
        self.applied = 0
        self.handing = _Passage()
        self.applying = _Passage()

    def settle(self, passage: Callable[[_Mark], _Passage]) -> None:
        """Puts those that came here into the buckets of all revisions that they passed."""
        arrivals = passage(self).arrivals
        for (after, at_ms), streams in arrivals.items():
            passed: _Mark | None = self
            while passed is not None and passed.revision > after:
                buckets, bucket = passage(passed).buckets, bucket_of(at_ms - passed.revision)
                buckets[bucket] = buckets.get(bucket, 0) + streams
                passed = passed.previous
        arrivals.clear()

    def taken(self) -> RevisionCensus:
        handed, applied = dict(self.handing.buckets), dict(self.applying.buckets)
        return RevisionCensus(self.revision, self.handed, self.applied, handed, applied)


def _handing(mark: _Mark) -> _Passage:
    return mark.handing


def _applying(mark: _Mark) -> _Passage:
    return mark.applying


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
        mark.handing.note(before.revision, now_ms)
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
        for mark in self._marks.values():
            mark.settle(_handing)
            mark.settle(_applying)
        revisions = tuple(mark.taken() for mark in self._marks.values())
        return StreamCensus(environment_id, self._streams, revisions)

    def _apply(self, standing: Standing, mark: _Mark, at_ms: int) -> None:
        before = standing.applied
        before.applied -= 1
        mark.applied += 1
        standing.applied = mark
        mark.applying.note(max(before.revision, standing.first), at_ms)

    def _mark(self, revision: int) -> _Mark:
        """Of a revision that is not tracked: one that nobody reads."""
        return self._marks.get(revision) or _Mark(revision)
