"""Messages as `evaluation` publishes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from featmesh.engine.model import Context
from featmesh.insights.v1 import insights_pb2
from featmesh.messaging.v1 import messaging_pb2
from featmesh.wire import context_to_proto
from services.messaging.ports import Message

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
"""A whole hour that is over."""


def milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def users_message(environment_id: str, *users: Context, at: datetime = HOUR) -> Message:
    batch = messaging_pb2.UserBatch(
        environment_id=environment_id,
        seen_at_ms=milliseconds(at),
        users=[context_to_proto(user) for user in users],
    )
    return message(environment_id, batch.SerializeToString())


def evaluated(
    variation_id: str, *, count: int = 1, at: datetime = HOUR
) -> insights_pb2.EvaluationEvent:
    return insights_pb2.EvaluationEvent(
        flag_key="checkout",
        variation_id=variation_id,
        user_key="ann",
        count=count,
        first_time_ms=milliseconds(at),
        last_time_ms=milliseconds(at),
    )


def insights_message(
    environment_id: str, *events: insights_pb2.EvaluationEvent, batch_id: str = ""
) -> Message:
    paid = insights_pb2.MetricEvent(
        name="paid", user_key="ann", value=9.5, time_ms=milliseconds(HOUR)
    )
    batch = messaging_pb2.InsightBatch(
        environment_id=environment_id,
        batch_id=batch_id or str(uuid4()),
        received_at_ms=milliseconds(datetime.now(UTC)),
        track=insights_pb2.TrackRequest(evaluations=events, metrics=[paid]).SerializeToString(),
    )
    return message(environment_id, batch.SerializeToString())


def message(environment_id: str, payload: bytes) -> Message:
    return Message(id=str(uuid4()), environment_id=environment_id, payload=payload)
