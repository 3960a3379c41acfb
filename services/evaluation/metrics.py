"""What `evaluation` exports; docs/operations/metrics.md has the list."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.evaluation.events.end_users import SeenUsers
from services.evaluation.replica.follower import Follower
from services.evaluation.replica.replica import Replica, Replicas
from services.runtime.metrics import by_label, counter, gauge

NAMED_ENVIRONMENTS: Final = 1_000
"""Environments with a series of their own, in order of loading; the rest is `OTHER`."""

OTHER: Final = "other"

PREFIX: Final = "featmesh_evaluation"


class EvaluationMetrics(Collector):
    """Read at each scrape; between two of them it costs nothing."""

    def __init__(self, replicas: Replicas, follower: Follower, users: SeenUsers) -> None:
        self._replicas = replicas
        self._follower = follower
        self._users = users

    def collect(self) -> Iterator[Metric]:
        """All of them, at this moment."""
        loaded, counts = self._replicas.loaded(), self._replicas.counts
        yield gauge(f"{PREFIX}_environments", "Environments in memory.", len(loaded))
        yield _by_environment("streams", "Open streams.", loaded, read=_streams, rest=sum)
        yield _by_environment(
            "revision_lag_milliseconds",
            "The store's latest known revision less the one in memory.",
            loaded,
            read=revision_lag,
            rest=max,
        )
        since = time.monotonic() - self._follower.last_poll
        yield gauge(f"{PREFIX}_poll_age_seconds", "Since the last good poll of the store.", since)
        yield by_label(
            CounterMetricFamily,
            f"{PREFIX}_first_syncs",
            "First change sets of streams: everything, or what had changed meanwhile.",
            label="kind",
            values=(("full", counts.full_syncs), ("patch", counts.patch_syncs)),
        )
        yield counter(f"{PREFIX}_pushes", "Change sets after the first.", counts.pushes)
        text = "Snapshots that were built after a change."
        yield counter(f"{PREFIX}_snapshots", text, counts.snapshots)
        text = "From changes' revisions until their snapshots were in memory, together."
        yield counter(f"{PREFIX}_snapshot_seconds", text, counts.snapshot_seconds)
        text = "Streams ended because the reader took no frame."
        yield counter(f"{PREFIX}_slow_readers", text, counts.slow_readers)
        yield gauge(f"{PREFIX}_users_waiting", "Users to publish.", self._users.waiting)
        text = "Users that found no place among those that wait."
        yield counter(f"{PREFIX}_users_dropped", text, self._users.dropped)


def revision_lag(replica: Replica) -> int:
    """Milliseconds, since revisions are times; 0 when the latest known one is in memory."""
    return max(0, replica.newest - replica.view.revision)


def _streams(replica: Replica) -> int:
    return len(replica.broadcaster)


def _by_environment(
    name: str,
    help_text: str,
    loaded: Sequence[Replica],
    *,
    read: Callable[[Replica], int],
    rest: Callable[[list[int]], int],
) -> Metric:
    values = [(each.environment_id, read(each)) for each in loaded[:NAMED_ENVIRONMENTS]]
    if others := [read(each) for each in loaded[NAMED_ENVIRONMENTS:]]:
        values.append((OTHER, rest(others)))
    full_name = f"{PREFIX}_{name}"
    return by_label(GaugeMetricFamily, full_name, help_text, label="environment", values=values)
