"""ImportService."""

# ruff: noqa: N802 -- the methods have the names that the protos give them
from __future__ import annotations

import asyncio
from typing import Any, Final

from featmesh.management.v1 import import_service_pb2 as pb
from featmesh.management.v1 import import_service_pb2_grpc
from featmesh.wire import flag_from_proto, segment_from_proto
from services.api.changes.imports import Bundle, Conflict, ImportChanges
from services.api.rpc import limits
from services.api.rpc.messages import label_of, mutation_of
from services.api.rpc.validation.faults import Faults
from services.api.rpc.validation.flags import check_flag_resource
from services.api.rpc.validation.requests import check_id, check_options
from services.api.rpc.validation.segments import check_segment_resource

_CONFLICTS: Final = {
    pb.IMPORT_CONFLICT_UNSPECIFIED: Conflict.FAIL,
    pb.IMPORT_CONFLICT_FAIL: Conflict.FAIL,
    pb.IMPORT_CONFLICT_SKIP: Conflict.SKIP,
    pb.IMPORT_CONFLICT_REPLACE: Conflict.REPLACE,
}


class ImportServicer(import_service_pb2_grpc.ImportServiceServicer):
    """Checks, has it done, answers."""

    def __init__(self, changes: ImportChanges) -> None:
        self._changes = changes

    async def ImportItems(
        self, request: pb.ImportItemsRequest, context: Any
    ) -> pb.ImportItemsResponse:
        # In a thread: 16 MiB take seconds, for which nobody else should have to wait.
        await asyncio.to_thread(_check, request)
        imported = await self._changes.run(
            request.environment_id,
            await asyncio.to_thread(_bundle, request),
            _CONFLICTS[request.conflict],
            await asyncio.to_thread(mutation_of, request),
        )
        return pb.ImportItemsResponse(
            revision=imported.revision,
            flags_written=imported.flags_written,
            flags_skipped=imported.flags_skipped,
            segments_written=imported.segments_written,
            segments_skipped=imported.segments_skipped,
        )


def _bundle(request: pb.ImportItemsRequest) -> Bundle:
    return Bundle(
        flags=[(flag_from_proto(each.flag), label_of(each)) for each in request.flags],
        segments=[(segment_from_proto(each.segment), label_of(each)) for each in request.segments],
    )


def _check(request: pb.ImportItemsRequest) -> None:
    faults = Faults()
    check_id(faults, "environment_id", request.environment_id)
    check_options(faults, request.options)
    if request.conflict not in _CONFLICTS:
        faults.add("conflict", f"is {request.conflict}, which is unknown")
    faults.count("flags", len(request.flags), limits.IMPORTED_ITEMS)
    faults.count("segments", len(request.segments), limits.IMPORTED_ITEMS)
    for index, flag in enumerate(request.flags):
        check_flag_resource(faults, f"flags[{index}]", flag)
    for index, segment in enumerate(request.segments):
        check_segment_resource(faults, f"segments[{index}]", segment)
    faults.unique((f"flags[{i}].flag.key", each.flag.key) for i, each in enumerate(request.flags))
    for field in ("key", "id"):
        faults.unique(
            (f"segments[{index}].segment.{field}", getattr(each.segment, field))
            for index, each in enumerate(request.segments)
        )
    faults.finish()
