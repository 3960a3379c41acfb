"""The small edition of ``python -m bench.insights --reconcile 1000000``."""

from __future__ import annotations

import asyncio

import pytest

from bench.insights.batches import EVENTS
from bench.insights.reconcile import reconcile
from bench.insights.stage import running_stage

pytestmark = pytest.mark.long(60)

SMALL = 10_000
RATE = 1_000


def test_what_was_acknowledged_is_stored_to_the_unit_whatever_dies_meanwhile() -> None:
    with running_stage() as stage:
        outcome = asyncio.run(reconcile(stage, SMALL, say=print, per_second=RATE))
    assert len(outcome.sent.acknowledged) >= SMALL // EVENTS
    assert outcome.stored == outcome.expected
    assert (outcome.missing, outcome.unknown) == (frozenset(), frozenset())
    assert outcome.sdk_tracked == outcome.sdk_stored_or_dropped
    assert outcome.sent.retries["UNAVAILABLE"], "no fault was met: it must come while events flow"
    assert outcome.sdk_dropped, "the small buffer must have overflowed"
