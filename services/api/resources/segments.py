"""SegmentService."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from featmesh.management.v1 import segment_service_pb2 as pb
from featmesh.wire import segment_from_proto, segment_to_proto
from services.api.changes.definitions import segment_with_defaults
from services.api.resources.standard import Deps, ResourceType
from services.api.resources.versioned import DefinitionMethods
from services.api.rpc.validation.segments import check_segment_resource
from services.runtime.errors import InvalidArgument
from services.storage.model.items import SegmentRecord
from services.storage.model.kinds import SEGMENT
from services.storage.model.resource import Stored


def _write(message: pb.SegmentResource, stored: Stored[SegmentRecord]) -> None:
    record = stored.content
    message.segment.CopyFrom(segment_to_proto(record.definition))
    message.display_name, message.description = record.display_name, record.description
    message.tags.extend(record.tags)
    if stored.is_basic:
        message.counts.CopyFrom(pb.SegmentCounts(**stored.counts))


def _read(message: pb.SegmentResource, current: Stored[SegmentRecord] | None) -> SegmentRecord:
    record = segment_record(message)
    segment = record.definition
    before = current.content.definition if current else None
    if before is not None:
        # Conditions name a segment by its id.
        for field in ("key", "id"):
            sent, known = getattr(segment, field), getattr(before, field)
            if sent not in {"", known}:
                path = f"resource.segment.{field}"
                raise InvalidArgument.of(path, f"never changes; it is '{known}'")
    return replace(record, definition=segment_with_defaults(segment, before))


def segment_record(message: pb.SegmentResource) -> SegmentRecord:
    """Returns a segment as an operator sent it; what is left out is still to be filled in."""
    return SegmentRecord(
        segment_from_proto(message.segment),
        message.display_name,
        message.description,
        tuple(message.tags),
    )


SEGMENTS: Final = ResourceType(
    kind=SEGMENT,
    service=pb.DESCRIPTOR.services_by_name["SegmentService"],
    message=pb.SegmentResource,
    field="resource",
    plural="resources",
    write=_write,
    read=_read,
    check=check_segment_resource,
    has_tags=True,
)


def segment_methods(deps: Deps) -> DefinitionMethods[SegmentRecord]:
    """Returns the ones that all definitions have."""
    return DefinitionMethods(SEGMENTS, deps, pb.SegmentVersion)
