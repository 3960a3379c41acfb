"""The small edition of ``python -m tests.load.insights --reconcile 1000000``."""

from __future__ import annotations

import asyncio

from tests.load.insights.batches import EVENTS
from tests.load.insights.reconcile import reconcile
from tests.load.insights.stage import running_stage

SMALL = 20_000
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
