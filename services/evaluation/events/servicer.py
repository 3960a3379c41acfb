"""InsightsService: events and users, taken once the broker holds them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.insights.v1 import insights_pb2
from featmesh.messaging.v1 import messaging_pb2
from services.evaluation.auth.sdk_keys import SdkKeys
from services.evaluation.clock import ClockMs
from services.evaluation.events.ordered import map_ordered
from services.evaluation.events.rate_limits import RateLimits
from services.evaluation.events.validation import CheckedBatch, check_users
from services.evaluation.limits import STREAM_BATCHES, TRACK_BYTES
from services.evaluation.progress.reports import Reports
from services.messaging.ports import Bus, Message, Topic
from services.runtime.errors import InvalidArgument, MeshError, ResourceExhausted
from services.runtime.interceptor import Context
from services.runtime.status import status_code, status_text
from services.storage.model.credentials import SdkKey
from services.storage.model.resource import Stored

SERVICE: Final = "featmesh.insights.v1.InsightsService"


class InsightsServicer:
    """Forwards what is good; answers OK only after the broker's confirms.

    Batches come as bytes: those of a batch in which all is well are forwarded as they are.
    """

    def __init__(
        self,
        keys: SdkKeys,
        bus: Bus,
        reports: Reports,
        rate_limits: RateLimits,
        clock_ms: ClockMs,
    ) -> None:
        self._keys = keys
        self._bus = bus
        self._reports = reports
        self._rate_limits = rate_limits
        self._clock_ms = clock_ms

    def register(self, server: aio.Server) -> None:
        """Adds the service; Track's bytes are decoded here, and kept."""
        handlers: dict[str, Any] = {
            "Track": grpc.unary_unary_rpc_method_handler(
                self.track, None, insights_pb2.TrackResponse.SerializeToString
            ),
            "TrackStream": grpc.stream_stream_rpc_method_handler(
                self.track_stream,
                insights_pb2.TrackStreamRequest.FromString,
                insights_pb2.TrackStreamResponse.SerializeToString,
            ),
            "Identify": grpc.unary_unary_rpc_method_handler(
                self.identify,
                insights_pb2.IdentifyRequest.FromString,
                insights_pb2.IdentifyResponse.SerializeToString,
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    async def track(self, data: bytes, context: Context) -> insights_pb2.TrackResponse:
        """See insights.proto."""
        key = await self._keys.any_key(context.invocation_metadata())
        return await self._take(key, data, _parsed(data))

    async def identify(
        self, request: insights_pb2.IdentifyRequest, context: Context
    ) -> insights_pb2.IdentifyResponse:
        """See insights.proto."""
        key = await self._keys.any_key(context.invocation_metadata())
        check_users(request)
        self._rate_limits.take(key.meta.id, len(request.users))
        await self._publish_users(key.meta.scope_id, request.users)
        return insights_pb2.IdentifyResponse()

    async def track_stream(
        self, requests: AsyncIterator[insights_pb2.TrackStreamRequest], context: Context
    ) -> AsyncIterator[insights_pb2.TrackStreamResponse]:
        """See insights.proto."""

        async def answer(
            request: insights_pb2.TrackStreamRequest,
        ) -> insights_pb2.TrackStreamResponse:
            # Asked for each batch: a stream may outlive its key.
            key = await self._keys.any_key(context.invocation_metadata())
            return await self._answer(key, request.batch)

        async for response in map_ordered(requests, answer, at_once=STREAM_BATCHES):
            yield response

    async def _answer(self, key: Stored[SdkKey], data: bytes) -> insights_pb2.TrackStreamResponse:
        """What Track answers, as a message."""
        batch_id = ""
        try:
            if len(data) > TRACK_BYTES:
                raise InvalidArgument.of("batch", f"has {len(data)} bytes; at most {TRACK_BYTES}")
            request = _parsed(data)
            batch_id = request.batch_id
            taken = await self._take(key, data, request)
        except MeshError as error:
            return insights_pb2.TrackStreamResponse(
                batch_id=batch_id,
                code=status_code(error).value[0],
                message=status_text(error),
                pushback_ms=error.pushback_ms if isinstance(error, ResourceExhausted) else 0,
            )
        return insights_pb2.TrackStreamResponse(batch_id=batch_id, taken=taken)

    async def _take(
        self, key: Stored[SdkKey], data: bytes, request: insights_pb2.TrackRequest
    ) -> insights_pb2.TrackResponse:
        now_ms = self._clock_ms()
        batch = CheckedBatch(request, now_ms)
        self._rate_limits.take(key.meta.id, batch.accepted)
        self._reports.take(_report(key.meta.scope_id, request, now_ms))
        if batch.users:
            await self._publish_users(key.meta.scope_id, batch.users)
        if batch.evaluations or batch.metrics or request.dropped_events:
            untouched = not batch.rejected and not request.users
            message = messaging_pb2.InsightBatch(
                environment_id=key.meta.scope_id,
                batch_id=request.batch_id,
                received_at_ms=now_ms,
                skew_ms=batch.skew_ms,
                track=data if untouched else _without_users(request, batch),
            )
            await self._publish_events(message)
        return insights_pb2.TrackResponse(accepted=batch.accepted, rejected=batch.rejected)

    async def _publish_users(
        self, environment_id: str, users: Sequence[evaluation_pb2.Context]
    ) -> None:
        payload = messaging_pb2.UserBatch(
            environment_id=environment_id, seen_at_ms=self._clock_ms(), users=users
        ).SerializeToString()
        await self._bus.publish(Topic.USERS, Message(str(uuid.uuid4()), environment_id, payload))

    async def _publish_events(self, batch: messaging_pb2.InsightBatch) -> None:
        payload = batch.SerializeToString()
        message = Message(batch.batch_id, batch.environment_id, payload)
        await self._bus.publish(Topic.INSIGHTS, message)


def _parsed(data: bytes) -> insights_pb2.TrackRequest:
    try:
        return insights_pb2.TrackRequest.FromString(data)
    except DecodeError:
        raise InvalidArgument.of("request", "is not a valid protobuf message") from None


def _without_users(request: insights_pb2.TrackRequest, batch: CheckedBatch) -> bytes:
    """What is stored of it, and nothing that was refused."""
    return insights_pb2.TrackRequest(
        evaluations=batch.evaluations,
        metrics=batch.metrics,
        dropped_events=request.dropped_events,
    ).SerializeToString()


def _report(
    environment_id: str, request: insights_pb2.TrackRequest, now_ms: int
) -> messaging_pb2.AppliedReport:
    return messaging_pb2.AppliedReport(
        environment_id=environment_id,
        instance_id=request.sdk.instance_id,
        revision=request.applied_revision,
        applied_at_ms=max(0, now_ms - request.applied_age_ms),
    )
