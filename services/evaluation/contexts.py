"""Contexts of requests."""

from __future__ import annotations

from featmesh.engine.model import Context
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.wire import context_from_proto
from services.runtime.contexts import context_violations
from services.runtime.errors import InvalidArgument


def read_context(message: evaluation_pb2.Context, path: str = "context") -> Context:
    """The context of a request; raises `InvalidArgument` with every broken field."""
    violations = list(context_violations(message, path))
    if violations:
        raise InvalidArgument(violations)
    return context_from_proto(message)
