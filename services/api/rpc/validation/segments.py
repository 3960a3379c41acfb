"""One segment, by itself; what it says of other items is in `services.api.changes.references`."""

from __future__ import annotations

from collections.abc import Sequence

from featmesh.flag.v1 import segment_pb2
from featmesh.management.v1 import segment_service_pb2
from services.api.rpc import limits
from services.api.rpc.validation.conditions import check_conditions, check_context_keys
from services.api.rpc.validation.faults import Faults
from services.api.rpc.validation.labels import check_label


def check_segment_resource(
    faults: Faults, path: str, resource: segment_service_pb2.SegmentResource
) -> None:
    """A segment with its name, description and tags; ``path`` is where it stands."""
    check_label(faults, path, resource)
    if not resource.HasField("segment"):
        faults.add(f"{path}.segment", "is required")
        return
    _check_segment(faults, f"{path}.segment", resource.segment)


def _check_segment(faults: Faults, path: str, segment: segment_pb2.Segment) -> None:
    size = segment.ByteSize()
    if size > limits.ITEM_BYTES:
        faults.add(path, f"has {size} bytes; the limit is {limits.ITEM_BYTES}")
        return
    faults.line(f"{path}.id", segment.id, limits.ID_BYTES)
    faults.key(f"{path}.key", segment.key)
    for name, keys in (("included", segment.included), ("excluded", segment.excluded)):
        faults.count(f"{path}.{name}", len(keys), limits.CONTEXT_KEYS)
        check_context_keys(faults, f"{path}.{name}", keys)
    _check_rules(faults, f"{path}.rules", segment.rules)


def _check_rules(faults: Faults, path: str, rules: Sequence[segment_pb2.SegmentRule]) -> None:
    faults.count(path, len(rules), limits.RULES)
    for index, rule in enumerate(rules):
        place = f"{path}[{index}]"
        faults.line(f"{place}.id", rule.id, limits.ID_BYTES)
        faults.line(f"{place}.name", rule.name, limits.NAME_BYTES)
        check_conditions(faults, f"{place}.conditions", rule.conditions)
    faults.unique((f"{path}[{index}].id", rule.id) for index, rule in enumerate(rules))
