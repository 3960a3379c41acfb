"""AuditService: who changed what."""

# ruff: noqa: N802 -- the methods have the names that the protos give them
from __future__ import annotations

from typing import Any

from featmesh.management.v1 import audit_service_pb2 as pb
from featmesh.management.v1 import audit_service_pb2_grpc
from services.api.rpc import limits
from services.api.rpc.messages import audit_entry_message
from services.api.rpc.validation.faults import Faults
from services.api.rpc.validation.requests import check_id, page_size
from services.storage.model.queries import AuditQuery
from services.storage.ports.resources import Resources


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    """Checks, asks the store, answers."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Any
    ) -> pb.ListAuditEntriesResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        faults.line("resource", request.resource, limits.RESOURCE_BYTES)
        size = page_size(faults, request.page)
        faults.finish()
        path = ""
        if request.resource:
            kind, _, key = request.resource.partition("/")
            scope = await self._resources.ancestry(request.environment_id)
            path = f"{scope.path}/{kind}s/{key}"
        page = await self._resources.list_audit_entries(
            AuditQuery(size, request.page.token, scope_id=request.environment_id, path=path)
        )
        return pb.ListAuditEntriesResponse(
            entries=map(audit_entry_message, page.items), next_token=page.next_token
        )
