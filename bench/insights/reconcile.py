"""Sent and acknowledged is stored, to the unit, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import featmesh
from bench.insights import faults
from bench.insights.batches import EVENTS, METRICS
from bench.insights.sender import Sender, Sent
from bench.insights.stage import Stage
from tests.support.places import Place

LARGE_BUFFER: Final = 1_000_000
SMALL_BUFFER: Final = 200
"""Of the two SDK clients that take part; the second cannot hold what an outage brings."""

FLUSH_SECONDS: Final = 120.0
LOOK_EVERY: Final = 0.05
SDK_PAUSE: Final = 0.002

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Two books of the same events."""

    sent: Sent
    stored: dict[str, int]
    """What the store holds, by the name of what is counted."""
    expected: dict[str, int]
    missing: frozenset[str]
    """Batches that were acknowledged and are not stored."""
    unknown: frozenset[str]
    """Batches that are stored and were never acknowledged."""
    sdk_tracked: int
    sdk_stored_or_dropped: int
    sdk_dropped: int

    @property
    def holds(self) -> bool:
        """Whether the books agree, to the unit."""
        return (
            self.stored == self.expected
            and not self.missing
            and not self.unknown
            and self.sdk_tracked == self.sdk_stored_or_dropped
        )


async def reconcile(
    stage: Stage, events: int, rounds: int = 1, *, say: Say, per_second: float = 0.0
) -> Outcome:
    """Sends events while every fault comes ``rounds`` times, and compares.

    At least so many, and until the last fault is over; so many ``per_second``, 0 for no bound.
    """
    place, sdk_place = await stage.place("batches"), await stage.place("clients")
    sender = Sender(stage.mesh.evaluation, place.server_key, connections=2, calls=4)
    sent = Sent()
    planned = [fault for _ in range(rounds) for fault in faults.ALL]
    over = asyncio.Event()
    rate = per_second / EVENTS
    async with asyncio.TaskGroup() as group:
        group.create_task(sender.send(events // EVENTS, per_second=rate, into=sent, until=over))
        strikes = group.create_task(
            _strike(stage, planned, sent, share=events / (len(planned) + 1), say=say)
        )
        strikes.add_done_callback(lambda _: over.set())
        clients = [
            group.create_task(asyncio.to_thread(_play_sdk, stage, sdk_place, capacity, over))
            for capacity in (LARGE_BUFFER, SMALL_BUFFER)
        ]
    say(f"all sent; retried: {dict(sent.retries)}; waiting until all is stored")
    await asyncio.to_thread(stage.until_stored, place.environment_id, sent.events)
    for process in stage.mesh.processes:
        if process.name == "ingest":
            # What was delivered twice has been stored or left out when it has drained.
            await asyncio.to_thread(process.stop)
            process.start()
            await asyncio.to_thread(process.wait_until_serving)
    tracked = sum(client.result() for client in clients)
    return await asyncio.to_thread(_compare, stage, place, sdk_place, sent, tracked)


async def _strike(
    stage: Stage, planned: Sequence[faults.Fault], sent: Sent, *, share: float, say: Say
) -> None:
    """Each fault when so many more events than at the last one have been acknowledged."""
    for number, fault in enumerate(planned, start=1):
        while sent.events < share * number:  # noqa: ASYNC110 - the sender has other things to do
            await asyncio.sleep(LOOK_EVERY)
        say(f"{sent.events:,} acknowledged: {fault.__name__}")
        await asyncio.to_thread(fault, stage)


def _play_sdk(stage: Stage, place: Place, capacity: int, over: asyncio.Event) -> int:
    """An application through it all; how many events it tracked."""
    tracked = 0
    options = featmesh.Options(
        event_capacity=capacity, flush_interval=0.2, backoff_maximum=1, send_timeout=5
    )
    with featmesh.Client(stage.mesh.evaluation, place.server_key, options=options) as client:
        client.wait_until_ready(FLUSH_SECONDS)
        user = featmesh.Context(f"application-{capacity}")
        client.identify(user)
        if not client.flush(FLUSH_SECONDS):
            raise TimeoutError("the user was not taken")
        while not over.is_set():
            client.track("reconciled", user)
            tracked += 1
            time.sleep(SDK_PAUSE)
        client.flush(FLUSH_SECONDS)
        client.track("reconciled", user)  # one more batch, to tell of what was dropped
        if not client.flush(FLUSH_SECONDS):
            raise TimeoutError("the SDK's last events were not taken")
    return tracked + 1


def _compare(stage: Stage, place: Place, sdk_place: Place, sent: Sent, tracked: int) -> Outcome:
    environment, batches = place.environment_id, len(sent.acknowledged)
    acknowledged = frozenset(sent.acknowledged)
    ids = frozenset(
        one["_id"].partition("/")[2]
        for one in stage.database["insight_batches"].find(
            {"_id": {"$gte": f"{environment}/", "$lt": f"{environment}0"}}, {"_id": 1}
        )
    )
    days = stage.totals("environment_days", sdk_place.environment_id)
    stored_by_sdk = stage.count("metric_events", sdk_place.environment_id)
    return Outcome(
        sent=sent,
        stored=_stored(stage, environment),
        expected={
            "flag_evaluations": batches * (EVENTS - METRICS),
            "metric_events": batches * METRICS,
            "evaluations by hours": batches * (EVENTS - METRICS),
            "evaluations by days": batches * (EVENTS - METRICS),
            "events by days": batches * METRICS,
        },
        missing=acknowledged - ids,
        unknown=ids - acknowledged,
        sdk_tracked=tracked,
        sdk_stored_or_dropped=stored_by_sdk + days["dropped"],
        sdk_dropped=days["dropped"],
    )


def _stored(stage: Stage, environment: str) -> dict[str, int]:
    hours: Any = stage.totals("flag_hours", environment)
    days: Any = stage.totals("environment_days", environment)
    return {
        "flag_evaluations": stage.count("flag_evaluations", environment),
        "metric_events": stage.count("metric_events", environment),
        "evaluations by hours": hours["evaluations"],
        "evaluations by days": days["evaluations"],
        "events by days": days["events"],
    }
