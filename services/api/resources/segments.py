"""SegmentService."""

# ruff: noqa: N802 -- the methods have the names that the protos give them
from __future__ import annotations

from typing import Any

from featmesh.management.v1 import segment_service_pb2 as pb
from featmesh.management.v1 import segment_service_pb2_grpc
from featmesh.wire import segment_from_proto
from services.api.changes.segments import SegmentChanges
from services.api.rpc import limits
from services.api.rpc.messages import label_of, mutation_of, segment_resource, segment_version
from services.api.rpc.validation.faults import Faults
from services.api.rpc.validation.requests import (
    check_id,
    check_options,
    check_to_version,
    check_version,
    page_size,
)
from services.api.rpc.validation.segments import check_segment_resource
from services.storage.model.kinds import SEGMENT
from services.storage.model.queries import HasTag, Query
from services.storage.ports.resources import Resources


class SegmentServicer(segment_service_pb2_grpc.SegmentServiceServicer):
    """Checks, has it done, answers."""

    def __init__(self, resources: Resources, changes: SegmentChanges) -> None:
        self._resources = resources
        self._changes = changes

    async def CreateSegment(
        self, request: pb.CreateSegmentRequest, context: Any
    ) -> pb.CreateSegmentResponse:
        _written(request).finish()
        record = await self._changes.create(
            request.environment_id,
            segment_from_proto(request.resource.segment),
            label_of(request.resource),
            mutation_of(request),
        )
        return pb.CreateSegmentResponse(resource=segment_resource(record))

    async def GetSegment(
        self, request: pb.GetSegmentRequest, context: Any
    ) -> pb.GetSegmentResponse:
        _named(request).finish()
        record = await self._resources.get(SEGMENT, request.environment_id, request.key)
        return pb.GetSegmentResponse(resource=segment_resource(record))

    async def ListSegments(
        self, request: pb.ListSegmentsRequest, context: Any
    ) -> pb.ListSegmentsResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        faults.line("tag", request.tag, limits.TAG_BYTES)
        size = page_size(faults, request.page)
        faults.finish()
        page = await self._resources.list(
            SEGMENT,
            request.environment_id,
            Query(
                size,
                request.page.token,
                where=HasTag(request.tag) if request.tag else None,
                include_archived=request.include_archived,
            ),
        )
        return pb.ListSegmentsResponse(
            resources=map(segment_resource, page.items), next_token=page.next_token
        )

    async def UpdateSegment(
        self, request: pb.UpdateSegmentRequest, context: Any
    ) -> pb.UpdateSegmentResponse:
        faults = _written(request)
        check_version(
            faults, "resource.segment.version", request.resource.segment.version, required=True
        )
        faults.finish()
        record = await self._changes.update(
            request.environment_id,
            segment_from_proto(request.resource.segment),
            label_of(request.resource),
            mutation_of(request),
        )
        return pb.UpdateSegmentResponse(resource=segment_resource(record))

    async def ArchiveSegment(
        self, request: pb.ArchiveSegmentRequest, context: Any
    ) -> pb.ArchiveSegmentResponse:
        _changed(request).finish()
        record = await self._changes.archive(
            request.environment_id,
            request.key,
            mutation_of(request),
            archived=request.archived,
            version=request.version,
        )
        return pb.ArchiveSegmentResponse(resource=segment_resource(record))

    async def DeleteSegment(
        self, request: pb.DeleteSegmentRequest, context: Any
    ) -> pb.DeleteSegmentResponse:
        _changed(request).finish()
        revision = await self._changes.delete(
            request.environment_id,
            request.key,
            mutation_of(request),
            version=request.version,
        )
        return pb.DeleteSegmentResponse(revision=revision)

    async def ListSegmentVersions(
        self, request: pb.ListSegmentVersionsRequest, context: Any
    ) -> pb.ListSegmentVersionsResponse:
        faults = _named(request)
        size = page_size(faults, request.page)
        faults.finish()
        page = await self._resources.history(
            SEGMENT, request.environment_id, request.key, size, request.page.token
        )
        return pb.ListSegmentVersionsResponse(
            versions=map(segment_version, page.items), next_token=page.next_token
        )

    async def RollbackSegment(
        self, request: pb.RollbackSegmentRequest, context: Any
    ) -> pb.RollbackSegmentResponse:
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
        return pb.RollbackSegmentResponse(resource=segment_resource(record))


_Changing = pb.ArchiveSegmentRequest | pb.RollbackSegmentRequest | pb.DeleteSegmentRequest


def _named(request: pb.GetSegmentRequest | pb.ListSegmentVersionsRequest | _Changing) -> Faults:
    faults = Faults()
    check_id(faults, "environment_id", request.environment_id)
    faults.key("key", request.key)
    return faults


def _changed(request: _Changing) -> Faults:
    faults = _named(request)
    check_version(faults, "version", request.version)
    check_options(faults, request.options)
    return faults


def _written(request: pb.CreateSegmentRequest | pb.UpdateSegmentRequest) -> Faults:
    faults = Faults()
    check_id(faults, "environment_id", request.environment_id)
    check_segment_resource(faults, "resource", request.resource)
    check_options(faults, request.options)
    return faults
