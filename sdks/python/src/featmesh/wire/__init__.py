"""The engine's model on the wire: conversion of messages, and nothing else."""

from __future__ import annotations

from featmesh.wire.changes import (
    MAX_CHANGE_SET_BYTES,
    DefinitionAssembler,
    DefinitionChanges,
    EvaluationAssembler,
    EvaluationChanges,
)
from featmesh.wire.contexts import (
    attribute_from_proto,
    attribute_to_proto,
    context_from_proto,
    context_to_proto,
)
from featmesh.wire.definitions import (
    flag_from_proto,
    flag_to_proto,
    segment_from_proto,
    segment_to_proto,
)
from featmesh.wire.explanations import explanation_to_proto
from featmesh.wire.results import result_from_proto, result_to_proto
from featmesh.wire.values import value_from_proto, value_to_proto

__all__ = [
    "MAX_CHANGE_SET_BYTES",
    "DefinitionAssembler",
    "DefinitionChanges",
    "EvaluationAssembler",
    "EvaluationChanges",
    "attribute_from_proto",
    "attribute_to_proto",
    "context_from_proto",
    "context_to_proto",
    "explanation_to_proto",
    "flag_from_proto",
    "flag_to_proto",
    "result_from_proto",
    "result_to_proto",
    "segment_from_proto",
    "segment_to_proto",
    "value_from_proto",
    "value_to_proto",
]
