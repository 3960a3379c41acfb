"""Flags and segments, between the engine's model and the wire.

Nothing here raises for a message, however malformed: what is missing or contradicts
itself becomes a flag that the engine answers with MALFORMED_FLAG where it matters.
"""

from __future__ import annotations

from collections.abc import Sequence

from featmesh.engine.model import (
    Flag,
    Prerequisite,
    Rule,
    Segment,
    SegmentRule,
    Target,
    ValueType,
    Variation,
)
from featmesh.flag.v1 import flag_pb2, segment_pb2
from featmesh.wire.conditions import (
    condition_to_proto,
    conditions_from_proto,
    rollout_from_proto,
    rollout_to_proto,
)
from featmesh.wire.values import (
    value_from_proto,
    value_to_proto,
    value_type_from_proto,
    value_type_to_proto,
)


def flag_to_proto(flag: Flag) -> flag_pb2.Flag:
    """The message of a flag; TypeError if a value is not of the flag's type."""
    return flag_pb2.Flag(
        key=flag.key,
        value_type=value_type_to_proto(flag.value_type),
        variations=[_variation_to_proto(each, flag.value_type) for each in flag.variations],
        salt=flag.salt,
        enabled=flag.enabled,
        off_variation_id=flag.off_variation_id,
        prerequisites=[
            flag_pb2.Prerequisite(flag_key=each.flag_key, variation_id=each.variation_id)
            for each in flag.prerequisites
        ],
        targets=[
            flag_pb2.Target(variation_id=each.variation_id, keys=each.keys) for each in flag.targets
        ],
        rules=[_rule_to_proto(each) for each in flag.rules],
        fallthrough=rollout_to_proto(flag.fallthrough),
        include_all_targets=flag.include_all_targets,
        archived=flag.archived,
        version=flag.version,
        revision=flag.revision,
    )


def flag_from_proto(message: flag_pb2.Flag) -> Flag:
    """A flag.

    A variation whose value is not set, not finite or not of the flag's type is left out,
    so serving it is MALFORMED_FLAG; a value type unknown here leaves out all of them.
    """
    # Lists inside of tuples because a generator costs as much as the few items that most
    # have, and slices because protobuf's own iteration costs twice as much.
    value_type = value_type_from_proto(message.value_type)
    return Flag(
        key=message.key,
        value_type=value_type or ValueType.STRING,
        variations=_variations_from_proto(message.variations, value_type),
        salt=message.salt,
        enabled=message.enabled,
        off_variation_id=message.off_variation_id,
        prerequisites=tuple(
            [Prerequisite(each.flag_key, each.variation_id) for each in message.prerequisites[:]]
        ),
        targets=tuple(
            [Target(each.variation_id, tuple(each.keys[:])) for each in message.targets[:]]
        ),
        rules=tuple([_rule_from_proto(each) for each in message.rules[:]]),
        fallthrough=rollout_from_proto(message.fallthrough),
        include_all_targets=message.include_all_targets,
        archived=message.archived,
        version=message.version,
        revision=message.revision,
    )


def segment_to_proto(segment: Segment) -> segment_pb2.Segment:
    """The message of a segment."""
    return segment_pb2.Segment(
        id=segment.id,
        key=segment.key,
        included=segment.included,
        excluded=segment.excluded,
        rules=[
            segment_pb2.SegmentRule(
                id=rule.id,
                name=rule.name,
                conditions=[condition_to_proto(each) for each in rule.conditions],
            )
            for rule in segment.rules
        ],
        archived=segment.archived,
        version=segment.version,
        revision=segment.revision,
    )


def segment_from_proto(message: segment_pb2.Segment) -> Segment:
    """A segment."""
    return Segment(
        id=message.id,
        key=message.key,
        included=tuple(message.included[:]),
        excluded=tuple(message.excluded[:]),
        rules=tuple(
            SegmentRule(rule.id, rule.name, conditions_from_proto(rule.conditions))
            for rule in message.rules
        ),
        archived=message.archived,
        version=message.version,
        revision=message.revision,
    )


def _variation_to_proto(variation: Variation, value_type: ValueType) -> flag_pb2.Variation:
    return flag_pb2.Variation(
        id=variation.id,
        name=variation.name,
        value=value_to_proto(variation.value, value_type),
    )


def _variations_from_proto(
    messages: Sequence[flag_pb2.Variation], value_type: ValueType | None
) -> tuple[Variation, ...]:
    variations = []
    for message in messages[:]:
        typed = value_from_proto(message.value)
        if typed is not None and typed[1] is value_type:
            variations.append(Variation(message.id, message.name, typed[0]))
    return tuple(variations)


def _target_from_proto(message: flag_pb2.Target) -> Target:
    return Target(message.variation_id, tuple(message.keys[:]))


def _rule_to_proto(rule: Rule) -> flag_pb2.Rule:
    return flag_pb2.Rule(
        id=rule.id,
        name=rule.name,
        conditions=[condition_to_proto(each) for each in rule.conditions],
        rollout=rollout_to_proto(rule.rollout),
    )


def _rule_from_proto(message: flag_pb2.Rule) -> Rule:
    return Rule(
        id=message.id,
        name=message.name,
        conditions=conditions_from_proto(message.conditions),
        rollout=rollout_from_proto(message.rollout),
    )
