"""Adds up what every `evaluation` process counted, for one revision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from services.storage.model.durations import Durations, middle_of, quantile
from services.storage.model.progress import RevisionProgress, StreamProgress


@dataclass(frozen=True, slots=True)
class Spread:
    """How long a step took: median and 99th percentile, over so many streams."""

    p50_ms: float
    p99_ms: float
    streams: int


@dataclass(frozen=True, slots=True)
class PropagationState:
    """How many streams of all processes are at or past ``revision``, and how soon they were."""

    revision: int
    connected: int
    delivered: int
    applied: int
    delivery: Spread
    application: Spread

    @property
    def complete(self) -> bool:
        """Whether every connected stream has applied it."""
        return self.applied >= self.connected


def propagation_state(progresses: Iterable[StreamProgress], revision: int) -> PropagationState:
    """The sum over processes. One that has not loaded the revision yet counts as behind."""
    counted = list(progresses)
    reached = [
        each for progress in counted for each in progress.revisions if each.revision >= revision
    ]
    return PropagationState(
        revision=revision,
        connected=sum(progress.streams for progress in counted),
        delivered=sum(each.delivered for each in reached),
        applied=sum(each.applied for each in reached),
        delivery=_spread(counted, revision, lambda each: each.delivered_durations),
        application=_spread(counted, revision, lambda each: each.applied_durations),
    )


def _spread(
    progresses: Iterable[StreamProgress],
    revision: int,
    step: Callable[[RevisionProgress], Durations],
) -> Spread:
    weights = [each for progress in progresses for each in _weights(progress, revision, step)]
    streams = sum(weight for _, weight in weights)
    return Spread(quantile(weights, 0.5), quantile(weights, 0.99), streams)


def _weights(
    progress: StreamProgress, revision: int, step: Callable[[RevisionProgress], Durations]
) -> Iterator[tuple[float, int]]:
    """Milliseconds since the revision's commit, and how many streams took so long.

    A process that read several changes at once never was at the ones between, and handed
    them out with the next one. What it no longer tells apart has no times.
    """
    if not progress.revisions or progress.revisions[0].revision > revision:
        return
    taken = next((each for each in progress.revisions if each.revision >= revision), None)
    if taken is not None:
        waited = taken.revision - revision
        for bucket, streams in step(taken).items():
            yield middle_of(bucket) + waited, streams
