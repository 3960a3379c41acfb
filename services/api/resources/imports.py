"""ImportService."""

from __future__ import annotations

import asyncio
from typing import Final

from featmesh.management.v1 import import_service_pb2 as pb
from services.api.changes.imports import Bundle, Conflict, ImportChanges
from services.api.resources.flags import flag_record
from services.api.resources.segments import segment_record
from services.api.rpc.call import Call
from services.api.rpc.dispatch import Behaviour
from services.api.rpc.methods import Checks
from services.api.rpc.validation.flags import check_flag_resource
from services.api.rpc.validation.segments import check_segment_resource
from services.runtime.violations import Violations

SERVICE: Final = pb.DESCRIPTOR.services_by_name["ImportService"]

_CONFLICTS: Final = {
    pb.IMPORT_CONFLICT_UNSPECIFIED: Conflict.FAIL,
    pb.IMPORT_CONFLICT_FAIL: Conflict.FAIL,
    pb.IMPORT_CONFLICT_SKIP: Conflict.SKIP,
    pb.IMPORT_CONFLICT_REPLACE: Conflict.REPLACE,
}


class ImportMethods:
    """Brings in what another installation holds."""

    def __init__(self, changes: ImportChanges) -> None:
        self._changes = changes

    def methods(self) -> dict[str, Behaviour]:
        """Returns all of them."""
        return {"ImportItems": self.import_items}

    async def import_items(
        self, request: pb.ImportItemsRequest, call: Call
    ) -> pb.ImportItemsResponse:
        """Writes everything in one change, or nothing."""
        # In threads: 16 MiB take seconds, for which nobody else should have to wait.
        imported = await self._changes.run(
            call.scope_id,
            await asyncio.to_thread(_bundle, request),
            _CONFLICTS[request.conflict],
            await asyncio.to_thread(call.mutation, request),
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
        flags=[flag_record(each) for each in request.flags],
        segments=[segment_record(each) for each in request.segments],
    )


def _check(violations: Violations, request: pb.ImportItemsRequest) -> None:
    if not (request.flags or request.segments):
        violations.add("flags", "are none, and there are no segments: nothing to import")
    for index, flag in enumerate(request.flags):
        check_flag_resource(violations, f"flags[{index}]", flag)
    for index, segment in enumerate(request.segments):
        check_segment_resource(violations, f"segments[{index}]", segment)
    keys = enumerate(request.flags)
    violations.unique((f"flags[{i}].flag.key", each.flag.key) for i, each in keys)
    for field in ("key", "id"):
        violations.unique(
            (f"segments[{index}].segment.{field}", getattr(each.segment, field))
            for index, each in enumerate(request.segments)
        )


CHECKS: Final[Checks] = {"ImportItems": _check}
"""What the rules of fields cannot say of an import."""
