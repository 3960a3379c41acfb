"""ReportService: what SDKs reported, summed up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from featmesh.management.v1 import report_service_pb2 as pb
from services.api.read import report_messages
from services.api.read.report_requests import USAGE_INTERVALS, read_bounds
from services.api.read.stale import StaleFlags
from services.api.rpc.call import Call
from services.api.rpc.dispatch import Behaviour
from services.api.rpc.requests import page_size
from services.storage.model.reports import ReportDetail, VariationOfFlag
from services.storage.ports.reports import ReportStore

SERVICE: Final = pb.DESCRIPTOR.services_by_name["ReportService"]

STALE_DAYS: Final = 30
"""Days of a request for stale flags that does not say how many."""


class ReportMethods:
    """Asks the roll-ups."""

    def __init__(self, reports: ReportStore, stale: StaleFlags) -> None:
        self._reports = reports
        self._stale = stale

    def methods(self) -> dict[str, Behaviour]:
        """Returns all of them."""
        return {
            "QueryEvaluations": self.query_evaluations,
            "ListVariationUsers": self.list_variation_users,
            "QueryUsage": self.query_usage,
            "ListStaleFlags": self.list_stale_flags,
            "GetExperimentData": self.get_experiment_data,
        }

    async def query_evaluations(
        self, request: pb.QueryEvaluationsRequest, call: Call
    ) -> pb.QueryEvaluationsResponse:
        """Counts evaluations, and users if asked, per variation and interval."""
        bounds = read_bounds(request, datetime.now(UTC), time_zone=request.time_zone)
        report = await self._reports.report_evaluations(
            call.scope_id,
            request.flag_key,
            bounds,
            ReportDetail(request.interval == pb.INTERVAL_MINUTE, request.count_users),
        )
        return report_messages.evaluations_message(report)

    async def list_variation_users(
        self, request: pb.ListVariationUsersRequest, call: Call
    ) -> pb.ListVariationUsersResponse:
        """Answers with a page of those who were served a variation."""
        page = await self._reports.list_variation_users(
            VariationOfFlag(call.scope_id, request.flag_key, request.variation_id),
            page_size(request.page),
            request.page.token,
            key_prefix=request.key_prefix,
        )
        return pb.ListVariationUsersResponse(
            users=map(report_messages.variation_user_message, page.items),
            next_token=page.next_token,
        )

    async def query_usage(self, request: pb.QueryUsageRequest, call: Call) -> pb.QueryUsageResponse:
        """Counts what the environment was used for, per interval and in all."""
        bounds = read_bounds(request, datetime.now(UTC), allowed=USAGE_INTERVALS)
        usage, total = await self._reports.report_usage(call.scope_id, bounds)
        return pb.QueryUsageResponse(
            usage=map(report_messages.usage_message, usage),
            total=report_messages.usage_message(total),
        )

    async def list_stale_flags(
        self, request: pb.ListStaleFlagsRequest, call: Call
    ) -> pb.ListStaleFlagsResponse:
        """Answers with those among a page of flags."""
        page = await self._stale.list(
            call.scope_id,
            page_size(request.page),
            request.page.token,
            days=request.days or STALE_DAYS,
        )
        return pb.ListStaleFlagsResponse(
            flags=map(report_messages.stale_flag_message, page.items), next_token=page.next_token
        )

    async def get_experiment_data(
        self, request: pb.GetExperimentDataRequest, call: Call
    ) -> pb.GetExperimentDataResponse:
        """Answers with what a result is made from, per variation."""
        variations = await self._reports.read_experiment(
            call.scope_id, request.flag_key, request.event_name
        )
        return pb.GetExperimentDataResponse(
            variations=map(report_messages.experiment_message, variations)
        )
