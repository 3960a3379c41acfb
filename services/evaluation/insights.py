"""InsightsService: events and users, taken once the broker holds them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.insights.v1 import insights_pb2, insights_pb2_grpc
from featmesh.messaging.v1 import messaging_pb2
from services.evaluation.authentication import SdkKeys
from services.evaluation.feeds import ClockMs
from services.evaluation.intake import CheckedBatch, user_list_violations
from services.evaluation.reports import Reports
from services.messaging.ports import Bus, Message, Topic
from services.runtime.errors import InvalidArgument
from services.runtime.interceptor import Context


class InsightsServicer(insights_pb2_grpc.InsightsServiceServicer):
    """Forwards what is good; answers OK only after the broker's confirms."""

    def __init__(self, keys: SdkKeys, bus: Bus, reports: Reports, clock_ms: ClockMs) -> None:
        self._keys = keys
        self._bus = bus
        self._reports = reports
        self._clock_ms = clock_ms

    async def Track(  # noqa: N802 -- gRPC's name
        self, request: insights_pb2.TrackRequest, context: Context | Any
    ) -> insights_pb2.TrackResponse:
        """See insights.proto."""
        key = await self._keys.any_key(context.invocation_metadata())
        now_ms = self._clock_ms()
        batch = CheckedBatch(request, now_ms)
        self._reports.take(_report(key.environment_id, request, now_ms))
        if batch.users:
            await self._publish_users(key.environment_id, batch.users)
        if batch.evaluations or batch.metrics:
            await self._publish_events(key.environment_id, request.batch_id, batch)
        return insights_pb2.TrackResponse(accepted=batch.accepted, rejected=batch.rejected)

    async def Identify(  # noqa: N802 -- gRPC's name
        self, request: insights_pb2.IdentifyRequest, context: Context | Any
    ) -> insights_pb2.IdentifyResponse:
        """See insights.proto."""
        key = await self._keys.any_key(context.invocation_metadata())
        violations = user_list_violations(request.users)
        if violations:
            raise InvalidArgument(violations)
        await self._publish_users(key.environment_id, request.users)
        return insights_pb2.IdentifyResponse()

    async def _publish_users(
        self, environment_id: str, users: Sequence[evaluation_pb2.Context]
    ) -> None:
        payload = messaging_pb2.UserBatch(
            environment_id=environment_id, seen_at_ms=self._clock_ms(), users=users
        ).SerializeToString()
        await self._bus.publish(Topic.USERS, Message(str(uuid.uuid4()), environment_id, payload))

    async def _publish_events(
        self, environment_id: str, batch_id: str, batch: CheckedBatch
    ) -> None:
        payload = messaging_pb2.InsightBatch(
            environment_id=environment_id,
            batch_id=batch_id,
            received_at_ms=self._clock_ms(),
            evaluations=batch.evaluations,
            metrics=batch.metrics,
        ).SerializeToString()
        await self._bus.publish(Topic.INSIGHTS, Message(batch_id, environment_id, payload))


def _report(
    environment_id: str, request: insights_pb2.TrackRequest, now_ms: int
) -> messaging_pb2.AppliedReport:
    return messaging_pb2.AppliedReport(
        environment_id=environment_id,
        instance_id=request.sdk.instance_id,
        revision=request.applied_revision,
        applied_at_ms=max(0, now_ms - request.applied_age_ms),
    )
