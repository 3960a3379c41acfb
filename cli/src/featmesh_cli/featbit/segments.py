"""FeatBit's segments."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from featmesh.flag.v1 import segment_pb2
from featmesh.management.v1 import segment_service_pb2
from featmesh_cli.featbit.conditions import read_condition
from featmesh_cli.featbit.keys import key_from_name, read_key
from featmesh_cli.featbit.node import Node, note_duplicates


def read_segments(nodes: Sequence[Node]) -> list[segment_service_pb2.SegmentResource]:
    """Reads all segments of an export; their ids are kept, since rules name them."""
    ids = [node.child("id").text() for node in nodes]
    note_duplicates(
        [(node.child("id"), id_) for node, id_ in zip(nodes, ids, strict=True)], "segment id"
    )
    known = frozenset(ids)
    keys = _keys(nodes)
    return [
        _read_segment(node, key=key, segment_ids=known)
        for node, key in zip(nodes, keys, strict=True)
    ]


def _keys(nodes: Sequence[Node]) -> list[str]:
    """Each segment's key; an older FeatBit has none, and the name stands in."""
    given = [
        read_key(node.child("key")) if node.child("key").value is not None else "" for node in nodes
    ]
    note_duplicates(
        [(node.child("key"), key) for node, key in zip(nodes, given, strict=True)], "segment key"
    )
    taken = {key for key in given if key}
    keys = []
    for node, key in zip(nodes, given, strict=True):
        made = key or key_from_name(node.child("name").text(), taken)
        taken.add(made)
        keys.append(made)
    return keys


def _read_segment(
    node: Node, *, key: str, segment_ids: Collection[str]
) -> segment_service_pb2.SegmentResource:
    rules = node.child("rules").objects()
    note_duplicates([(rule.child("id"), rule.child("id").text()) for rule in rules], "rule id")
    segment = segment_pb2.Segment(
        id=node.child("id").optional_text(),
        key=key,
        included=node.child("included").texts(),
        excluded=node.child("excluded").texts(),
        rules=[_read_rule(rule, segment_ids) for rule in rules],
        archived=node.child("isArchived").boolean(default=False),
    )
    return segment_service_pb2.SegmentResource(
        segment=segment,
        display_name=node.child("name").optional_text() or key,
        description=node.child("description").optional_text(),
        tags=node.child("tags").texts(),
    )


def _read_rule(node: Node, segment_ids: Collection[str]) -> segment_pb2.SegmentRule:
    return segment_pb2.SegmentRule(
        id=node.child("id").optional_text(),
        name=node.child("name").optional_text(),
        conditions=[
            read_condition(condition, segment_ids)
            for condition in node.child("conditions").objects()
        ],
    )
