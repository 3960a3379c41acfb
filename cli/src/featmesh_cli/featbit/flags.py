"""FeatBit's flags."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from featmesh.flag.v1 import flag_pb2, rollout_pb2, value_pb2
from featmesh.management.v1 import flag_service_pb2
from featmesh_cli.featbit.conditions import read_condition
from featmesh_cli.featbit.keys import read_key
from featmesh_cli.featbit.node import Node, note_duplicates
from featmesh_cli.featbit.rollouts import read_rollout
from featmesh_cli.featbit.values import VALUE_TYPES, read_value, read_value_type


def read_flags(
    nodes: Sequence[Node], segment_ids: Collection[str]
) -> list[flag_service_pb2.FlagResource]:
    """Reads all flags of an export.

    Args:
        nodes: The flags.
        segment_ids: Segments that their rules may name.
    """
    resources = [_read_resource(node, segment_ids) for node in nodes]
    note_duplicates(
        [
            (node.child("key"), resource.flag.key)
            for node, resource in zip(nodes, resources, strict=True)
        ],
        "flag key",
    )
    return resources


def _read_resource(node: Node, segment_ids: Collection[str]) -> flag_service_pb2.FlagResource:
    key = read_key(node.child("key"))
    return flag_service_pb2.FlagResource(
        flag=_read_flag(node, key=key, segment_ids=segment_ids),
        display_name=node.child("name").optional_text() or key,
        description=node.child("description").optional_text(),
        tags=node.child("tags").texts(),
    )


def _read_flag(node: Node, *, key: str, segment_ids: Collection[str]) -> flag_pb2.Flag:
    type_name = read_value_type(node.child("variationType"))
    variations = _read_variations(node.child("variations"), type_name)
    ids = frozenset(variation.id for variation in variations)
    return flag_pb2.Flag(
        key=key,
        value_type=VALUE_TYPES.get(type_name, value_pb2.VALUE_TYPE_UNSPECIFIED),
        variations=variations,
        enabled=node.child("isEnabled").boolean(),
        off_variation_id=_known_variation(node.child("disabledVariationId"), ids),
        targets=_read_targets(node.child("targetUsers"), ids),
        rules=_read_rules(node.child("rules"), variation_ids=ids, segment_ids=segment_ids),
        fallthrough=_read_fallthrough(node.child("fallthrough"), ids),
        include_all_targets=node.child("exptIncludeAllTargets").boolean(default=False),
        archived=node.child("isArchived").boolean(default=False),
    )


def _read_variations(node: Node, type_name: str) -> list[flag_pb2.Variation]:
    nodes = node.objects()
    if not nodes:
        node.fault("must list at least one variation")
    ids = [(child.child("id"), child.child("id").text()) for child in nodes]
    note_duplicates(ids, "variation id")
    return [
        flag_pb2.Variation(
            id=variation_id,
            name=child.child("name").optional_text(),
            value=read_value(child.child("value"), type_name),
        )
        for child, (_, variation_id) in zip(nodes, ids, strict=True)
    ]


def _read_targets(node: Node, variation_ids: Collection[str]) -> list[flag_pb2.Target]:
    return [
        flag_pb2.Target(
            variation_id=_known_variation(target.child("variationId"), variation_ids),
            keys=target.child("keyIds").texts(),
        )
        for target in node.objects()
    ]


def _read_rules(
    node: Node, *, variation_ids: Collection[str], segment_ids: Collection[str]
) -> list[flag_pb2.Rule]:
    rules = node.objects()
    ids = [(rule.child("id"), rule.child("id").text()) for rule in rules]
    note_duplicates(ids, "rule id")
    return [
        flag_pb2.Rule(
            id=rule_id,
            name=rule.child("name").optional_text(),
            conditions=[
                read_condition(condition, segment_ids)
                for condition in rule.child("conditions").objects()
            ],
            rollout=read_rollout(rule, variation_ids),
        )
        for rule, (_, rule_id) in zip(rules, ids, strict=True)
    ]


def _read_fallthrough(node: Node, variation_ids: Collection[str]) -> rollout_pb2.Rollout:
    if not node.is_object():
        return rollout_pb2.Rollout()
    return read_rollout(node, variation_ids)


def _known_variation(node: Node, variation_ids: Collection[str]) -> str:
    variation_id = node.text()
    if variation_id and variation_id not in variation_ids:
        node.fault(f'unknown variation "{variation_id}"')
    return variation_id
