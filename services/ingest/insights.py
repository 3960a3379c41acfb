"""Insights: evaluation and metric events, stored once with their hourly roll-ups."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Final

from featmesh.insights.v1 import insights_pb2
from featmesh.messaging.v1 import messaging_pb2
from services.ingest.decoding import (
    MAX_ID_BYTES,
    MAX_USER_KEY_BYTES,
    Undecodable,
    parse,
    text,
    time,
)
from services.messaging.ports import Message
from services.storage.model import EvaluationEvent, InsightBatch, MetricEvent, MetricKind
from services.storage.ports import InsightStore

log = logging.getLogger(__name__)

MAX_NAME_BYTES: Final = 128
MAX_COUNT: Final = 1_000_000_000

_KINDS: Final[Mapping[int, MetricKind]] = {
    insights_pb2.METRIC_KIND_UNSPECIFIED: MetricKind.CUSTOM,
    insights_pb2.METRIC_KIND_CUSTOM: MetricKind.CUSTOM,
    insights_pb2.METRIC_KIND_PAGE_VIEW: MetricKind.PAGE_VIEW,
    insights_pb2.METRIC_KIND_CLICK: MetricKind.CLICK,
}


async def store_insights(store: InsightStore, message: Message) -> None:
    """Stores a batch; one that was stored before changes nothing. Raises `Undecodable`."""
    batch = decode_insights(message.payload)
    if not await store.store_insights(batch):
        log.debug("batch %s of %s was stored before", batch.batch_id, batch.environment_id)


def decode_insights(payload: bytes) -> InsightBatch:
    """The model of a ``featmesh.messaging.v1.InsightBatch``; raises `Undecodable`."""
    batch = parse(messaging_pb2.InsightBatch, payload)
    return InsightBatch(
        environment_id=text("environment_id", batch.environment_id, MAX_ID_BYTES),
        batch_id=text("batch_id", batch.batch_id, MAX_ID_BYTES),
        received_at=time("received_at_ms", batch.received_at_ms),
        evaluations=tuple(
            _evaluation(f"evaluations[{index}]", event)
            for index, event in enumerate(batch.evaluations)
        ),
        metrics=tuple(
            _metric(f"metrics[{index}]", event) for index, event in enumerate(batch.metrics)
        ),
    )


def _evaluation(at: str, event: insights_pb2.EvaluationEvent) -> EvaluationEvent:
    if not 1 <= event.count <= MAX_COUNT:
        raise Undecodable(f"{at}.count", f"{event.count} is not from 1 to {MAX_COUNT}")
    return EvaluationEvent(
        flag_key=text(f"{at}.flag_key", event.flag_key, MAX_NAME_BYTES),
        variation_id=text(f"{at}.variation_id", event.variation_id, MAX_ID_BYTES),
        user_key=text(f"{at}.user_key", event.user_key, MAX_USER_KEY_BYTES),
        flag_revision=event.flag_revision,
        in_experiment=event.in_experiment,
        count=event.count,
        first_time=time(f"{at}.first_time_ms", event.first_time_ms),
        last_time=time(f"{at}.last_time_ms", event.last_time_ms),
    )


def _metric(at: str, event: insights_pb2.MetricEvent) -> MetricEvent:
    if not math.isfinite(event.value):
        raise Undecodable(f"{at}.value", "is not a finite number")
    if event.kind not in _KINDS:
        raise Undecodable(f"{at}.kind", f"{event.kind} is no kind that this version knows")
    return MetricEvent(
        name=text(f"{at}.name", event.name, MAX_NAME_BYTES),
        user_key=text(f"{at}.user_key", event.user_key, MAX_USER_KEY_BYTES),
        value=event.value,
        kind=_KINDS[event.kind],
        time=time(f"{at}.time_ms", event.time_ms),
    )
