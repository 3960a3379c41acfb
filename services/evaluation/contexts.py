"""Contexts of requests, and who sends them."""

from __future__ import annotations

from collections.abc import Iterator

from featmesh.engine.model import Context
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import context_from_proto
from services.runtime.contexts import context_violations
from services.runtime.errors import InvalidArgument, Violation
from services.runtime.field_rules import check_message
from services.runtime.violations import Violations


def read_context(message: evaluation_pb2.Context, path: str = "context") -> Context:
    """The context of a request; raises `InvalidArgument` with every broken field."""
    violations = list(context_violations(message, path))
    if violations:
        raise InvalidArgument(violations)
    return context_from_proto(message)


def sdk_violations(sdk: sync_pb2.SdkInfo) -> Iterator[Violation]:
    """What breaks a limit in a request's ``sdk``."""
    violations = Violations()
    check_message(violations, "sdk", sdk)
    return iter(violations)
