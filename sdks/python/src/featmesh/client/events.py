"""Events between two batches: counted, bounded, cheap to add."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from featmesh.engine.model import Context, Result


class EvaluationKey(NamedTuple):
    """Evaluations that agree in all of this are one event with a count."""

    user_key: str
    flag_key: str
    variation_id: str
    flag_revision: int
    in_experiment: bool


@dataclass(slots=True)
class Tally:
    """How often, and when first and last (milliseconds since the epoch)."""

    count: int
    first_ms: int
    last_ms: int


@dataclass(slots=True)
class _Recent:
    """The tally of a result object, which is kept so that no other takes its identity."""

    result: Result
    context: Context
    tally: Tally


class EventKind(Enum):
    """What a user did."""

    CUSTOM = "CUSTOM"
    """Whatever the application names."""
    PAGE_VIEW = "PAGE_VIEW"
    """A page was shown; the event's name is the page's."""
    CLICK = "CLICK"
    """An element was clicked; the event's name is the element's."""


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that a user did."""

    name: str
    user_key: str
    value: float
    time_ms: int
    kind: EventKind = EventKind.CUSTOM


@dataclass(slots=True)
class Held:
    """What has come in since the last batch."""

    users: dict[str, Context] = field(default_factory=dict)
    evaluations: dict[EvaluationKey, Tally] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.users) + len(self.evaluations) + len(self.metrics)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not len(self) and not self.dropped


class EventBuffer:
    """Takes events from any thread; beyond its capacity it drops them and counts."""

    def __init__(self, *, capacity: int, known_users: int) -> None:
        self._capacity = capacity
        self._known_capacity = known_users
        self._lock = threading.Lock()
        self._held = Held()
        self._recent: dict[tuple[str, int], _Recent] = {}
        self._known: OrderedDict[str, Context] = OrderedDict()

    def add_evaluation(self, context: Context, result: Result, now_ms: int) -> None:
        """Counts an evaluation that served a variation, and its user."""
        # An engine hands out the same result object again and again, so its identity finds
        # the tally without hashing all that an `EvaluationKey` holds.
        identity = (context.key, id(result))
        with self._lock:
            recent = self._recent.get(identity)
            if recent is None:
                self._add_first(identity, context, result, now_ms)
                return
            if recent.context is not context:
                self._learn(context)
                recent.context = context
            tally = recent.tally
            tally.count += 1
            tally.last_ms = max(tally.last_ms, now_ms)

    def add_metric(self, context: Context, metric: Metric) -> None:
        """Takes a metric event, and its user."""
        with self._lock:
            self._learn(context)
            if self._has_room():
                self._held.metrics.append(metric)

    def add_user(self, context: Context) -> None:
        """Takes a user, unless the same one was sent lately."""
        with self._lock:
            self._learn(context)

    def add_dropped(self, events: int) -> None:
        """Counts events that were lost on their way."""
        with self._lock:
            self._held.dropped += events

    def drain(self) -> Held:
        """Hands over all that came in and starts anew."""
        with self._lock:
            held, self._held = self._held, Held()
            self._recent = {}
        return held

    def _add_first(
        self, identity: tuple[str, int], context: Context, result: Result, now_ms: int
    ) -> None:
        self._learn(context)
        key = EvaluationKey(
            context.key,
            result.flag_key,
            result.variation_id,
            result.flag_revision,
            result.in_experiment,
        )
        tally = self._held.evaluations.get(key)
        if tally is not None:
            tally.count += 1
            tally.last_ms = max(tally.last_ms, now_ms)
        elif self._has_room():
            tally = self._held.evaluations[key] = Tally(1, now_ms, now_ms)
        if tally is not None and len(self._recent) < self._capacity:
            self._recent[identity] = _Recent(result, context, tally)

    def _has_room(self) -> bool:
        if len(self._held) < self._capacity:
            return True
        self._held.dropped += 1
        return False

    def _learn(self, context: Context) -> None:
        known = self._known.get(context.key)
        if known is context or known == context:
            self._known.move_to_end(context.key)
            return
        if context.key not in self._held.users and not self._has_room():
            return
        self._held.users[context.key] = context
        self._known[context.key] = context
        self._known.move_to_end(context.key)
        if len(self._known) > self._known_capacity:
            self._known.popitem(last=False)
