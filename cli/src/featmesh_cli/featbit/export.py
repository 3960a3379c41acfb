"""Both files of an export, read as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from featmesh.management.v1 import flag_service_pb2, segment_service_pb2
from featmesh_cli.featbit.faults import Fault, Faults
from featmesh_cli.featbit.flags import read_flags
from featmesh_cli.featbit.node import Node, parse_document
from featmesh_cli.featbit.segments import read_segments


@dataclass(frozen=True, slots=True)
class Export:
    """What an export holds. With any fault, none of it may be used.

    Items stand in the order of their files, so that an index means the same in both.
    """

    flags: tuple[flag_service_pb2.FlagResource, ...]
    segments: tuple[segment_service_pb2.SegmentResource, ...]
    faults: tuple[Fault, ...]


def read_export(flags: Path, segments: Path) -> Export:
    """Reads both files wholly and finds every fault in them."""
    flag_faults, segment_faults = Faults(flags.name), Faults(segments.name)
    flag_nodes = _read_list(flags, flag_faults)
    segment_nodes = _read_list(segments, segment_faults)
    segment_resources = read_segments(segment_nodes)
    segment_ids = frozenset(resource.segment.id for resource in segment_resources)
    return Export(
        flags=tuple(read_flags(flag_nodes, segment_ids)),
        segments=tuple(segment_resources),
        faults=flag_faults.all() + segment_faults.all(),
    )


def _read_list(path: Path, faults: Faults) -> list[Node]:
    try:
        content = path.read_bytes()
    except OSError as error:
        faults.add("", f"cannot be read: {error.strerror or error}")
        return []
    root = parse_document(content, faults)
    if root is None:
        return []
    if not isinstance(root.value, list):
        root.fault("must be a list")
        return []
    return root.objects()
