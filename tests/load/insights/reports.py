"""Reports over many stored evaluations, which are written through the store directly."""

from __future__ import annotations

import random
import time
from typing import Final
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.management.v1 import insight_service_pb2, insight_service_pb2_grpc
from services.storage.model.insights import EvaluationEvent, InsightBatch
from services.storage.mongodb import MongoStore
from tests.load.insights.batches import FLAGS, USERS, VARIATIONS
from tests.load.insights.measures import add, figure
from tests.load.insights.stage import DATABASE, Stage
from tests.load.propagation import Place
from tests.load.record import Benchmark, percentile

DAYS: Final = 30
AT_ONCE: Final = 10_000
CALLS: Final = 50
DEADLINE: Final = 30.0
_DAY_MS: Final = 24 * 3_600 * 1_000


async def fill(stage: Stage, place: Place, evaluations: int) -> None:
    """So many documents over the last days."""
    store, dice = MongoStore.open(stage.mongod.uri, database=DATABASE), random.Random(7)
    try:
        for start in range(0, evaluations, AT_ONCE):
            size = min(AT_ONCE, evaluations - start)
            await store.insights.store_insights([_batch(dice, place.environment, size)])
    finally:
        await store.close()


def _batch(dice: random.Random, environment: str, size: int) -> InsightBatch:
    """All of one hour: as SDKs would have sent it then."""
    now_ms = time.time_ns() // 1_000_000
    hour = now_ms - dice.randrange(DAYS * _DAY_MS)
    events = [
        EvaluationEvent(
            flag := f"flag-{dice.randrange(FLAGS)}",
            f"{flag}-variation-{dice.randrange(VARIATIONS)}",
            f"user-{dice.randrange(USERS)}",
            1,
            in_experiment=False,
            evaluations=1,
            first_ms=hour,
            last_ms=hour,
        )
        for _ in range(size)
    ]
    return InsightBatch(environment, str(uuid4()), now_ms, events, ())


def measure_reports(stage: Stage, place: Place, bench: Benchmark, evaluations: int) -> None:
    """How long a flag's report takes through the management API."""
    now = int(time.time())
    request = insight_service_pb2.QueryFlagEvaluationsRequest(
        environment_id=place.environment,
        flag_key="flag-1",
        start_time=Timestamp(seconds=now - DAYS * 86_400),
        end_time=Timestamp(seconds=now + 1),
    )
    took: list[float] = []
    with grpc.insecure_channel(stage.mesh.api) as channel:
        stub = insight_service_pb2_grpc.InsightServiceStub(channel)
        for _ in range(CALLS):
            began = time.perf_counter()
            stub.QueryFlagEvaluations(request, metadata=stage.mesh.metadata(), timeout=DEADLINE)
            took.append((time.perf_counter() - began) * 1_000)
    work = f"a flag's {DAYS} days by hour and variation, of {evaluations:,} stored evaluations"
    for percent in (50, 99):
        add(bench, work, f"report p{percent}", percentile(took, percent), figure("ms", 300))
