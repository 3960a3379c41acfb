"""Batches as SDKs send them, made beforehand: the generator only puts an id in front."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from featmesh.insights.v1 import insights_pb2

EVENTS: Final = 100
"""Of one batch: 95 evaluations and 5 metric events."""

METRICS: Final = 5
FLAGS: Final = 50
VARIATIONS: Final = 2
USERS: Final = 100_000
PREPARED: Final = 500

EXPERIMENT: Final = "flag-0"
"""The one flag whose evaluations count for an experiment."""

_ID_FIELD: Final = b"\x0a\x24"
"""Field 1, of 36 bytes: a UUID."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One request with its id."""

    id: str
    request: bytes


class Batches:
    """An endless supply of different batches; the same seed gives the same events."""

    def __init__(self, seed: int = 7) -> None:
        dice = random.Random(seed)
        now_ms = time.time_ns() // 1_000_000
        self._bodies = [_body(dice, now_ms) for _ in range(PREPARED)]
        self._next = 0

    def take(self) -> Batch:
        """The next one."""
        self._next += 1
        name = str(uuid4())
        return Batch(name, _ID_FIELD + name.encode() + self._bodies[self._next % PREPARED])


def _body(dice: random.Random, now_ms: int) -> bytes:
    request = insights_pb2.TrackRequest(sent_at_ms=0)
    for _ in range(EVENTS - METRICS):
        flag = f"flag-{dice.randrange(FLAGS)}"
        request.evaluations.add(
            flag_key=flag,
            variation_id=f"{flag}-variation-{dice.randrange(VARIATIONS)}",
            user_key=f"user-{dice.randrange(USERS)}",
            flag_revision=now_ms,
            in_experiment=flag == EXPERIMENT,
            count=1,
            first_time_ms=now_ms - dice.randrange(5_000),
            last_time_ms=now_ms,
        )
    for _ in range(METRICS):
        request.metrics.add(
            name=f"event-{dice.randrange(10)}",
            user_key=f"user-{dice.randrange(USERS)}",
            value=dice.random(),
            kind=insights_pb2.METRIC_KIND_CUSTOM,
            time_ms=now_ms,
        )
    return request.SerializeToString()
