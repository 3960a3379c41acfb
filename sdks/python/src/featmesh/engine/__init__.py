"""The evaluation engine: pure, fast, and the same for the services and the SDK."""

from __future__ import annotations

from featmesh.engine.dependencies import find_prerequisite_cycle, find_segment_cycle
from featmesh.engine.evaluate import evaluate, evaluate_all
from featmesh.engine.explain import Explanation, explain
from featmesh.engine.model import (
    FULL_WEIGHT,
    Attribute,
    Condition,
    Context,
    ErrorKind,
    Flag,
    Operator,
    Prerequisite,
    Reason,
    Result,
    Rollout,
    Rule,
    Segment,
    SegmentRule,
    Share,
    Target,
    Value,
    ValueType,
    Variation,
)
from featmesh.engine.patterns import valid_pattern
from featmesh.engine.snapshot import Snapshot

__all__ = [
    "FULL_WEIGHT",
    "Attribute",
    "Condition",
    "Context",
    "ErrorKind",
    "Explanation",
    "Flag",
    "Operator",
    "Prerequisite",
    "Reason",
    "Result",
    "Rollout",
    "Rule",
    "Segment",
    "SegmentRule",
    "Share",
    "Snapshot",
    "Target",
    "Value",
    "ValueType",
    "Variation",
    "evaluate",
    "evaluate_all",
    "explain",
    "find_prerequisite_cycle",
    "find_segment_cycle",
    "valid_pattern",
]
