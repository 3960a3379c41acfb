"""FlagService."""

# ruff: noqa: N802 -- the methods have the names that the protos give them
from __future__ import annotations

from typing import Any

from featmesh.management.v1 import flag_service_pb2 as pb
from featmesh.management.v1 import flag_service_pb2_grpc
from featmesh.wire import flag_from_proto
from services.api.changes.flags import FlagChanges
from services.api.rpc import limits
from services.api.rpc.messages import flag_resource, flag_version, label_of, mutation_of
from services.api.rpc.validation.faults import Faults
from services.api.rpc.validation.flags import check_flag_resource
from services.api.rpc.validation.requests import (
    check_id,
    check_options,
    check_to_version,
    check_version,
    page_size,
)
from services.storage.model.kinds import FLAG
from services.storage.model.queries import HasTag, Query
from services.storage.ports.resources import Resources


class FlagServicer(flag_service_pb2_grpc.FlagServiceServicer):
    """Checks, has it done, answers."""

    def __init__(self, resources: Resources, changes: FlagChanges) -> None:
        self._resources = resources
        self._changes = changes

    async def CreateFlag(
        self, request: pb.CreateFlagRequest, context: Any
    ) -> pb.CreateFlagResponse:
        _written(request).finish()
        record = await self._changes.create(
            request.environment_id,
            flag_from_proto(request.resource.flag),
            label_of(request.resource),
            mutation_of(request),
        )
        return pb.CreateFlagResponse(resource=flag_resource(record))

    async def GetFlag(self, request: pb.GetFlagRequest, context: Any) -> pb.GetFlagResponse:
        _named(request).finish()
        record = await self._resources.get(FLAG, request.environment_id, request.key)
        return pb.GetFlagResponse(resource=flag_resource(record))

    async def ListFlags(self, request: pb.ListFlagsRequest, context: Any) -> pb.ListFlagsResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        faults.line("tag", request.tag, limits.TAG_BYTES)
        size = page_size(faults, request.page)
        faults.finish()
        page = await self._resources.list(
            FLAG,
            request.environment_id,
            Query(
                size,
                request.page.token,
                where=HasTag(request.tag) if request.tag else None,
                include_archived=request.include_archived,
            ),
        )
        return pb.ListFlagsResponse(
            resources=map(flag_resource, page.items), next_token=page.next_token
        )

    async def UpdateFlag(
        self, request: pb.UpdateFlagRequest, context: Any
    ) -> pb.UpdateFlagResponse:
        faults = _written(request)
        check_version(faults, "resource.flag.version", request.resource.flag.version, required=True)
        faults.finish()
        record = await self._changes.update(
            request.environment_id,
            flag_from_proto(request.resource.flag),
            label_of(request.resource),
            mutation_of(request),
        )
        return pb.UpdateFlagResponse(resource=flag_resource(record))

    async def ToggleFlag(
        self, request: pb.ToggleFlagRequest, context: Any
    ) -> pb.ToggleFlagResponse:
        _changed(request).finish()
        record = await self._changes.toggle(
            request.environment_id,
            request.key,
            mutation_of(request),
            enabled=request.enabled,
            version=request.version,
        )
        return pb.ToggleFlagResponse(resource=flag_resource(record))

    async def ArchiveFlag(
        self, request: pb.ArchiveFlagRequest, context: Any
    ) -> pb.ArchiveFlagResponse:
        _changed(request).finish()
        record = await self._changes.archive(
            request.environment_id,
            request.key,
            mutation_of(request),
            archived=request.archived,
            version=request.version,
        )
        return pb.ArchiveFlagResponse(resource=flag_resource(record))

    async def DeleteFlag(
        self, request: pb.DeleteFlagRequest, context: Any
    ) -> pb.DeleteFlagResponse:
        _changed(request).finish()
        revision = await self._changes.delete(
            request.environment_id,
            request.key,
            mutation_of(request),
            version=request.version,
        )
        return pb.DeleteFlagResponse(revision=revision)

    async def ListFlagVersions(
        self, request: pb.ListFlagVersionsRequest, context: Any
    ) -> pb.ListFlagVersionsResponse:
        faults = _named(request)
        size = page_size(faults, request.page)
        faults.finish()
        page = await self._resources.history(
            FLAG, request.environment_id, request.key, size, request.page.token
        )
        return pb.ListFlagVersionsResponse(
            versions=map(flag_version, page.items), next_token=page.next_token
        )

    async def RollbackFlag(
        self, request: pb.RollbackFlagRequest, context: Any
    ) -> pb.RollbackFlagResponse:
        faults = _changed(request)
        check_to_version(faults, request.to_version)
        faults.finish()
        record = await self._changes.rollback(
            request.environment_id,
            request.key,
            mutation_of(request),
            to_version=request.to_version,
            version=request.version,
        )
        return pb.RollbackFlagResponse(resource=flag_resource(record))


_Changing = (
    pb.ToggleFlagRequest | pb.ArchiveFlagRequest | pb.RollbackFlagRequest | pb.DeleteFlagRequest
)


def _named(request: pb.GetFlagRequest | pb.ListFlagVersionsRequest | _Changing) -> Faults:
    faults = Faults()
    check_id(faults, "environment_id", request.environment_id)
    faults.key("key", request.key)
    return faults


def _changed(request: _Changing) -> Faults:
    faults = _named(request)
    check_version(faults, "version", request.version)
    check_options(faults, request.options)
    return faults


def _written(request: pb.CreateFlagRequest | pb.UpdateFlagRequest) -> Faults:
    faults = Faults()
    check_id(faults, "environment_id", request.environment_id)
    check_flag_resource(faults, "resource", request.resource)
    check_options(faults, request.options)
    return faults
