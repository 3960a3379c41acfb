"""InsightService: what SDKs reported."""

# ruff: noqa: N802 -- the methods have the names that the protos give them
from __future__ import annotations

from typing import Any

from featmesh.management.v1 import insight_service_pb2 as pb
from featmesh.management.v1 import insight_service_pb2_grpc
from services.api.rpc import limits
from services.api.rpc.messages import end_user_message, evaluation_count_message
from services.api.rpc.validation.faults import Faults
from services.api.rpc.validation.requests import check_id, check_range, page_size
from services.storage.model.end_users import UserFilter
from services.storage.model.kinds import ENVIRONMENT
from services.storage.ports.end_users import EndUserStore
from services.storage.ports.events import EventStore
from services.storage.ports.resources import Resources


class InsightServicer(insight_service_pb2_grpc.InsightServiceServicer):
    """Checks, asks the store, answers."""

    def __init__(self, insights: EventStore, users: EndUserStore, resources: Resources) -> None:
        self._insights = insights
        self._users = users
        self._resources = resources

    async def QueryFlagEvaluations(
        self, request: pb.QueryFlagEvaluationsRequest, context: Any
    ) -> pb.QueryFlagEvaluationsResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        faults.key("flag_key", request.flag_key)
        start, end = check_range(faults, request)
        if request.granularity not in {pb.GRANULARITY_UNSPECIFIED, pb.GRANULARITY_HOUR}:
            faults.add("granularity", f"is {request.granularity}, which is unknown")
        faults.finish()
        await self._resources.get_by_id(ENVIRONMENT, request.environment_id)
        counts = await self._insights.count_evaluations(
            request.environment_id, request.flag_key, start, end
        )
        return pb.QueryFlagEvaluationsResponse(counts=map(evaluation_count_message, counts))

    async def ListEndUsers(
        self, request: pb.ListEndUsersRequest, context: Any
    ) -> pb.ListEndUsersResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        faults.text("key_prefix", request.key_prefix, limits.CONTEXT_KEY_BYTES)
        size = page_size(faults, request.page)
        faults.finish()
        wanted = UserFilter(key_prefix=request.key_prefix)
        page = await self._users.search_end_users(
            request.environment_id, size, request.page.token, user_filter=wanted
        )
        return pb.ListEndUsersResponse(
            end_users=map(end_user_message, page.items), next_token=page.next_token
        )
