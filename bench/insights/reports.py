"""Reports over many stored evaluations, which are written through the store directly."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from bench.insights.batches import FLAGS, USERS, VARIATIONS
from bench.insights.measures import add, figure
from bench.insights.stage import DATABASE, Stage
from bench.record import Benchmark, percentile
from featmesh.management.v1 import (
    import_service_pb2,
    import_service_pb2_grpc,
    report_service_pb2_grpc,
)
from featmesh.management.v1 import report_service_pb2 as pb
from services.storage.model.events import EvaluationEvent, InsightBatch
from services.storage.mongodb import MongoStore
from tests.support.flags import boolean_flag
from tests.support.places import Place
from tests.support.resources import update_environment

DAYS: Final = 365
HOURLY_DAYS: Final = 60
"""A report has at most 1,500 intervals."""

CALLS: Final = 30
DEADLINE: Final = 30.0
GOAL_MS: Final = 300
BERLIN: Final = "Europe/Berlin"
_HOUR_MS: Final = 3_600 * 1_000
_DAY_SECONDS: Final = 86_400

Call = Callable[[], Any]


async def fill(stage: Stage, place: Place, evaluations: int) -> None:
    """So many documents over all hours of the last year, of flags that are defined."""
    with grpc.insecure_channel(stage.mesh.api) as channel:
        import_service_pb2_grpc.ImportServiceStub(channel).ImportItems(
            import_service_pb2.ImportItemsRequest(
                parent=place.environment,
                flags=[boolean_flag(f"flag-{number}") for number in range(FLAGS)],
            ),
            metadata=stage.mesh.metadata(),
            timeout=DEADLINE,
        )
    store, dice = MongoStore.open(stage.mongod.uri, database=DATABASE), random.Random(7)
    try:
        await update_environment(store, place.environment_id, retention_days=2 * DAYS)
        for day in range(DAYS):
            size = (day + 1) * evaluations // DAYS - day * evaluations // DAYS
            await store.insights.store_insights([_batch(dice, place.environment_id, size, day)])
    finally:
        await store.close()


def _batch(dice: random.Random, environment: str, size: int, days_ago: int) -> InsightBatch:
    """Of all hours of one day."""
    now_ms = time.time_ns() // 1_000_000
    events = []
    for _ in range(size):
        flag = f"flag-{dice.randrange(FLAGS)}"
        variation = f"{flag}-variation-{dice.randrange(VARIATIONS)}"
        at = now_ms - (days_ago * 24 + dice.randrange(24)) * _HOUR_MS
        user = f"user-{dice.randrange(USERS)}"
        events.append(EvaluationEvent(flag, variation, user, 1, False, 1, at, at))
    return InsightBatch(environment, str(uuid4()), now_ms, events, ())


def measure_reports(stage: Stage, place: Place, bench: Benchmark, evaluations: int) -> None:
    """How long every report takes through the management API."""
    work = f"reports over {DAYS} days, of {evaluations:,} stored evaluations"
    with grpc.insecure_channel(stage.mesh.api) as channel:
        stub = report_service_pb2_grpc.ReportServiceStub(channel)
        for name, call in _reports(stub, place.environment, stage.mesh.metadata()):
            took = _milliseconds(call)
            for percent in (50, 99):
                metric = f"{name}: p{percent}"
                add(bench, work, metric, percentile(took, percent), figure("ms", GOAL_MS))


def _milliseconds(call: Call) -> list[float]:
    took: list[float] = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1_000)
    return took


def _reports(stub: Any, environment: str, metadata: Any) -> Iterator[tuple[str, Call]]:
    def calling(method: Any, request: Any) -> Call:
        return partial(method, request, metadata=metadata, timeout=DEADLINE)

    for name, request in _evaluations(environment):
        yield name, calling(stub.QueryEvaluations, request)
    users = pb.ListVariationUsersRequest(
        parent=environment, flag_key="flag-1", variation_id="flag-1-variation-0"
    )
    yield "users of a variation, a page", calling(stub.ListVariationUsers, users)
    for name, interval in (("day", pb.INTERVAL_DAY), ("month", pb.INTERVAL_MONTH)):
        usage = pb.QueryUsageRequest(parent=environment, interval=interval, **_range(DAYS))
        yield f"usage by {name}", calling(stub.QueryUsage, usage)
    stale = pb.ListStaleFlagsRequest(parent=environment)
    yield f"stale ones of {FLAGS} flags", calling(stub.ListStaleFlags, stale)


def _evaluations(environment: str) -> Iterator[tuple[str, pb.QueryEvaluationsRequest]]:
    """Of one flag, with distinct users and without."""
    for name, interval, zone, days in (
        (f"hour, {HOURLY_DAYS} days", pb.INTERVAL_HOUR, "", HOURLY_DAYS),
        ("day", pb.INTERVAL_DAY, "", DAYS),
        ("week", pb.INTERVAL_WEEK, "", DAYS),
        ("month", pb.INTERVAL_MONTH, "", DAYS),
        (f"month of {BERLIN}", pb.INTERVAL_MONTH, BERLIN, DAYS),
        (f"day of {BERLIN}", pb.INTERVAL_DAY, BERLIN, DAYS),
    ):
        for users in (False, True):
            request = pb.QueryEvaluationsRequest(
                parent=environment,
                flag_key="flag-1",
                interval=interval,
                time_zone=zone,
                count_users=users,
                **_range(days),
            )
            yield f"evaluations by {name}" + (" with users" if users else ""), request


def _range(days: int) -> dict[str, Timestamp]:
    now = int(time.time())
    return {
        "start_time": Timestamp(seconds=now - days * _DAY_SECONDS),
        "end_time": Timestamp(seconds=now + 1),
    }
