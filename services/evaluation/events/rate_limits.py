"""How much each SDK key may send to this process."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.runtime.errors import ResourceExhausted

log = logging.getLogger(__name__)

BURST_SECONDS: Final = 2.0
"""What a key may send at once, in seconds of its rate."""

KEYS: Final = 10_000
"""Keys whose use is remembered; then those that have their full burst again are forgotten."""


@dataclass(slots=True)
class _Bucket:
    """``tokens`` is below zero while the last batch is being paid for."""

    tokens: float
    filled_at: float
    refused: bool = False


class RateLimits:
    """A token bucket for each key. A batch is taken whole as soon as there is any token."""

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = per_second * BURST_SECONDS
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key_id: str, events: int) -> None:
        """Takes tokens for so many users and events, at least for one.

        Raises `ResourceExhausted` with the wait until there is a token again.
        """
        bucket = self._filled(key_id)
        if bucket.tokens <= 0:
            self._refuse(key_id, bucket)
        bucket.refused = False
        bucket.tokens -= max(1, events)

    def _filled(self, key_id: str) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(key_id)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[key_id] = _Bucket(self._burst, now)
        grown = bucket.tokens + (now - bucket.filled_at) * self._per_second
        bucket.tokens, bucket.filled_at = min(grown, self._burst), now
        return bucket

    def _refuse(self, key_id: str, bucket: _Bucket) -> None:
        if not bucket.refused:
            log.warning("SDK key %s sends more than %g events/s", key_id, self._per_second)
        bucket.refused = True
        wait_ms = math.ceil((1 - bucket.tokens) / self._per_second * 1_000)
        text = f"this SDK key may send {self._per_second:g} users and events per second"
        raise ResourceExhausted(text, pushback_ms=wait_ms)

    def _make_room(self, now: float) -> None:
        if len(self._buckets) < KEYS:
            return
        self._buckets = {
            key_id: bucket
            for key_id, bucket in self._buckets.items()
            if bucket.tokens + (now - bucket.filled_at) * self._per_second < self._burst
        }
        while len(self._buckets) >= KEYS:
            del self._buckets[next(iter(self._buckets))]
