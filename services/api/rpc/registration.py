"""The services that `api` offers, and the sizes of their requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from grpc import aio

from featmesh.management.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    dead_letter_service_pb2,
    dead_letter_service_pb2_grpc,
    end_user_service_pb2,
    end_user_service_pb2_grpc,
    flag_service_pb2,
    flag_service_pb2_grpc,
    import_service_pb2,
    import_service_pb2_grpc,
    insight_service_pb2,
    insight_service_pb2_grpc,
    report_service_pb2,
    report_service_pb2_grpc,
    rollout_service_pb2,
    rollout_service_pb2_grpc,
    segment_service_pb2,
    segment_service_pb2_grpc,
    tenancy_pb2,
    tenancy_pb2_grpc,
)
from services.api.changes.commit import Changes
from services.api.changes.effects import CommitHooks
from services.api.changes.flags import FlagChanges
from services.api.changes.imports import ImportChanges
from services.api.changes.segments import SegmentChanges
from services.api.changes.tenancy import TenancyChanges
from services.api.read.audit import AuditServicer
from services.api.read.dead_letters import DeadLetterServicer
from services.api.read.end_users import EndUserServicer
from services.api.read.insights import InsightServicer
from services.api.read.propagation import RolloutServicer
from services.api.read.reports import ReportServicer
from services.api.read.served import Snapshots
from services.api.read.stale import StaleFlags
from services.api.resources.flags import FlagServicer
from services.api.resources.imports import ImportServicer
from services.api.resources.segments import SegmentServicer
from services.api.resources.tenancy import TenancyServicer
from services.api.rpc import limits
from services.messaging.ports import DeadLetters
from services.storage.ports.store import Store

SERVICES: Final = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (tenancy_pb2, "TenancyService"),
        (flag_service_pb2, "FlagService"),
        (segment_service_pb2, "SegmentService"),
        (import_service_pb2, "ImportService"),
        (insight_service_pb2, "InsightService"),
        (end_user_service_pb2, "EndUserService"),
        (report_service_pb2, "ReportService"),
        (audit_service_pb2, "AuditService"),
        (dead_letter_service_pb2, "DeadLetterService"),
        (rollout_service_pb2, "RolloutService"),
    )
)

REQUEST_LIMITS: Final = {
    "/featmesh.management.v1.FlagService/CreateFlag": limits.ITEM_REQUEST_BYTES,
    "/featmesh.management.v1.FlagService/UpdateFlag": limits.ITEM_REQUEST_BYTES,
    "/featmesh.management.v1.SegmentService/CreateSegment": limits.ITEM_REQUEST_BYTES,
    "/featmesh.management.v1.SegmentService/UpdateSegment": limits.ITEM_REQUEST_BYTES,
    "/featmesh.management.v1.EndUserService/ImportEndUsers": limits.IMPORT_CHUNK_BYTES,
    "/featmesh.management.v1.ImportService/ImportItems": limits.IMPORT_REQUEST_BYTES,
}


def registration(
    store: Store,
    dead_letters: DeadLetters,
    effects: CommitHooks,
) -> Callable[[aio.Server], None]:
    """Adds every servicer to a server."""

    def register(server: aio.Server) -> None:
        changes = Changes(store.resources, store.definitions, effects)
        tenancy_pb2_grpc.add_TenancyServiceServicer_to_server(
            TenancyServicer(store.resources, TenancyChanges(store.resources, changes, effects)),
            server,
        )
        flag_service_pb2_grpc.add_FlagServiceServicer_to_server(
            FlagServicer(store.resources, FlagChanges(store.resources, changes)), server
        )
        segment_service_pb2_grpc.add_SegmentServiceServicer_to_server(
            SegmentServicer(store.resources, SegmentChanges(store.resources, changes)), server
        )
        import_service_pb2_grpc.add_ImportServiceServicer_to_server(
            ImportServicer(ImportChanges(store.resources, changes)), server
        )
        insight_service_pb2_grpc.add_InsightServiceServicer_to_server(
            InsightServicer(store.insights, store.end_users, store.resources), server
        )
        end_user_service_pb2_grpc.add_EndUserServiceServicer_to_server(
            EndUserServicer(store.end_users, Snapshots(store.definitions)), server
        )
        report_service_pb2_grpc.add_ReportServiceServicer_to_server(
            ReportServicer(
                store.reports, StaleFlags(store.resources, store.reports), store.resources
            ),
            server,
        )
        audit_service_pb2_grpc.add_AuditServiceServicer_to_server(
            AuditServicer(store.resources), server
        )
        dead_letter_service_pb2_grpc.add_DeadLetterServiceServicer_to_server(
            DeadLetterServicer(dead_letters), server
        )
        rollout_service_pb2_grpc.add_RolloutServiceServicer_to_server(
            RolloutServicer(store.resources, store.progress), server
        )

    return register
