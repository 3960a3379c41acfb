"""Explanations, from the engine's model to the wire."""

from __future__ import annotations

from typing import Final

from featmesh.engine.explain import (
    ConditionTrace,
    Explanation,
    PrerequisiteTrace,
    RolloutTrace,
    RuleTrace,
    ShareTrace,
    TargetTrace,
)
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.wire.conditions import condition_to_proto
from featmesh.wire.results import result_to_proto

MAX_SHOWN: Final = 100
"""Values of a condition, and texts of an attribute, that are shown."""


def explanation_to_proto(explanation: Explanation) -> evaluation_pb2.Explanation:
    """The message of an explanation; it names rules, so it is not for client SDKs."""
    message = evaluation_pb2.Explanation(
        flag_key=explanation.result.flag_key,
        why=explanation.why,
        prerequisites=map(_prerequisite, explanation.prerequisites),
        targets=map(_target, explanation.targets),
        rules=map(_rule, explanation.rules),
    )
    if explanation.rollout is not None:
        message.rollout.CopyFrom(_rollout(explanation.rollout))
    return message


def _prerequisite(trace: PrerequisiteTrace) -> evaluation_pb2.PrerequisiteTrace:
    return evaluation_pb2.PrerequisiteTrace(
        flag_key=trace.flag_key,
        required_variation_id=trace.required_variation_id,
        result=result_to_proto(trace.result, for_client=False),
        holds=trace.holds,
    )


def _target(trace: TargetTrace) -> evaluation_pb2.TargetTrace:
    return evaluation_pb2.TargetTrace(
        variation_id=trace.variation_id, size=trace.size, holds=trace.holds
    )


def _rule(trace: RuleTrace) -> evaluation_pb2.RuleTrace:
    return evaluation_pb2.RuleTrace(
        rule_id=trace.rule_id,
        rule_name=trace.rule_name,
        conditions=map(_condition, trace.conditions),
        holds=trace.holds,
    )


def _condition(trace: ConditionTrace) -> evaluation_pb2.ConditionTrace:
    condition = condition_to_proto(trace.condition)
    del condition.values[MAX_SHOWN:]
    return evaluation_pb2.ConditionTrace(
        condition=condition, actual=trace.actual[:MAX_SHOWN], holds=trace.holds
    )


def _rollout(trace: RolloutTrace) -> evaluation_pb2.RolloutTrace:
    return evaluation_pb2.RolloutTrace(
        dispatch_attribute=trace.dispatch_attribute,
        hashed=trace.hashed,
        bucket=trace.bucket,
        shares=map(_share, trace.shares),
        experiment_bucket=trace.experiment_bucket,
    )


def _share(trace: ShareTrace) -> evaluation_pb2.ShareTrace:
    return evaluation_pb2.ShareTrace(
        variation_id=trace.variation_id,
        weight=trace.weight,
        start=trace.start,
        end=trace.end,
        served=trace.served,
    )
