"""What the rules of fields cannot say of a segment; references are in `changes.references`."""

from __future__ import annotations

from featmesh.management.v1 import segment_service_pb2
from services.api.rpc.validation.conditions import check_conditions
from services.runtime.violations import Violations


def check_segment_resource(
    violations: Violations, path: str, resource: segment_service_pb2.SegmentResource
) -> None:
    """Checks a segment with its tags; ``path`` is where it stands."""
    violations.unique((f"{path}.tags[{index}]", tag) for index, tag in enumerate(resource.tags))
    rules, path = resource.segment.rules, f"{path}.segment.rules"
    for index, rule in enumerate(rules):
        check_conditions(violations, f"{path}[{index}].conditions", rule.conditions)
    violations.unique((f"{path}[{index}].id", rule.id) for index, rule in enumerate(rules))
