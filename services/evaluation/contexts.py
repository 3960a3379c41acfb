"""Contexts of requests, and who sends them."""

from __future__ import annotations

from collections.abc import Iterator

from featmesh.engine.model import Context
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import context_from_proto
from services.evaluation.limits import SDK_TEXT_BYTES
from services.runtime.contexts import context_violations, text_violations
from services.runtime.errors import InvalidArgument, Violation


def read_context(message: evaluation_pb2.Context, path: str = "context") -> Context:
    """The context of a request; raises `InvalidArgument` with every broken field."""
    violations = list(context_violations(message, path))
    if violations:
        raise InvalidArgument(violations)
    return context_from_proto(message)


def sdk_violations(sdk: sync_pb2.SdkInfo) -> Iterator[Violation]:
    """What breaks a limit in a request's ``sdk``."""
    yield from text_violations("sdk.name", sdk.name, 0, SDK_TEXT_BYTES)
    yield from text_violations("sdk.version", sdk.version, 0, SDK_TEXT_BYTES)
    yield from text_violations("sdk.instance_id", sdk.instance_id, 0, SDK_TEXT_BYTES)
