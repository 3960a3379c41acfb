"""ReportService: what SDKs reported, summed up."""

# ruff: noqa: N802 -- the methods have the names that the protos give them
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from featmesh.management.v1 import report_service_pb2 as pb
from featmesh.management.v1 import report_service_pb2_grpc
from services.api.read import report_messages
from services.api.read.stale import StaleFlags
from services.api.rpc import limits
from services.api.rpc.validation.faults import Faults
from services.api.rpc.validation.reports import USAGE_INTERVALS, check_bounds
from services.api.rpc.validation.requests import check_id, page_size
from services.storage.model.kinds import ENVIRONMENT
from services.storage.model.reports import ReportDetail, VariationOfFlag
from services.storage.ports.reports import ReportStore
from services.storage.ports.resources import Resources


class ReportServicer(report_service_pb2_grpc.ReportServiceServicer):
    """Checks, asks the store, answers."""

    def __init__(self, reports: ReportStore, stale: StaleFlags, resources: Resources) -> None:
        self._reports = reports
        self._stale = stale
        self._resources = resources

    async def QueryEvaluations(
        self, request: pb.QueryEvaluationsRequest, context: Any
    ) -> pb.QueryEvaluationsResponse:
        faults = _of_flag(request)
        bounds = check_bounds(faults, request, datetime.now(UTC), time_zone=request.time_zone)
        faults.finish()
        await self._resources.get_by_id(ENVIRONMENT, request.environment_id)
        report = await self._reports.report_evaluations(
            request.environment_id,
            request.flag_key,
            bounds,
            ReportDetail(request.interval == pb.INTERVAL_MINUTE, request.count_users),
        )
        return report_messages.evaluations_message(report)

    async def ListVariationUsers(
        self, request: pb.ListVariationUsersRequest, context: Any
    ) -> pb.ListVariationUsersResponse:
        faults = _of_flag(request)
        faults.text("variation_id", request.variation_id, limits.ID_BYTES, low=1)
        faults.text("key_prefix", request.key_prefix, limits.CONTEXT_KEY_BYTES)
        size = page_size(faults, request.page)
        faults.finish()
        await self._resources.get_by_id(ENVIRONMENT, request.environment_id)
        page = await self._reports.list_variation_users(
            VariationOfFlag(request.environment_id, request.flag_key, request.variation_id),
            size,
            request.page.token,
            key_prefix=request.key_prefix,
        )
        return pb.ListVariationUsersResponse(
            users=map(report_messages.variation_user_message, page.items),
            next_token=page.next_token,
        )

    async def QueryUsage(
        self, request: pb.QueryUsageRequest, context: Any
    ) -> pb.QueryUsageResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        bounds = check_bounds(faults, request, datetime.now(UTC), allowed=USAGE_INTERVALS)
        faults.finish()
        await self._resources.get_by_id(ENVIRONMENT, request.environment_id)
        usage, total = await self._reports.report_usage(request.environment_id, bounds)
        return pb.QueryUsageResponse(
            usage=map(report_messages.usage_message, usage),
            total=report_messages.usage_message(total),
        )

    async def ListStaleFlags(
        self, request: pb.ListStaleFlagsRequest, context: Any
    ) -> pb.ListStaleFlagsResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        faults.range("days", request.days, limits.MAX_STALE_DAYS)
        size = page_size(faults, request.page)
        faults.finish()
        page = await self._stale.list(
            request.environment_id,
            size,
            request.page.token,
            days=request.days or limits.STALE_DAYS,
        )
        return pb.ListStaleFlagsResponse(
            flags=map(report_messages.stale_flag_message, page.items), next_token=page.next_token
        )

    async def GetExperimentData(
        self, request: pb.GetExperimentDataRequest, context: Any
    ) -> pb.GetExperimentDataResponse:
        faults = _of_flag(request)
        faults.text("event_name", request.event_name, limits.EVENT_NAME_BYTES)
        faults.finish()
        await self._resources.get_by_id(ENVIRONMENT, request.environment_id)
        variations = await self._reports.read_experiment(
            request.environment_id, request.flag_key, request.event_name
        )
        return pb.GetExperimentDataResponse(
            variations=map(report_messages.experiment_message, variations)
        )


def _of_flag(
    request: pb.QueryEvaluationsRequest
    | pb.ListVariationUsersRequest
    | pb.GetExperimentDataRequest,
) -> Faults:
    faults = Faults()
    check_id(faults, "environment_id", request.environment_id)
    faults.key("flag_key", request.flag_key)
    return faults
