"""EvaluationService: remote evaluation, for callers without an engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grpc import aio

from featmesh.engine import Context, Result, Snapshot, evaluate, evaluate_all
from featmesh.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from featmesh.wire import context_from_proto, result_to_proto
from services.evaluation.authentication import SdkKeys
from services.evaluation.clock import now_ms
from services.evaluation.contexts import check, context_violations, text_violations
from services.evaluation.limits import EVALUATED_FLAGS, FLAG_KEY_BYTES
from services.evaluation.replica import Replicas
from services.runtime.errors import Violation
from services.storage.model import SdkKeyKind

NAME = evaluation_pb2.DESCRIPTOR.services_by_name["EvaluationService"].full_name


class EvaluationService(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Answers from the replica's current snapshot."""

    def __init__(self, keys: SdkKeys, replicas: Replicas) -> None:
        self._keys = keys
        self._replicas = replicas

    async def Evaluate(  # type: ignore[override]  # noqa: N802 -- the stub has the synchronous servicer; gRPC's name
        self,
        request: evaluation_pb2.EvaluateRequest,
        context: aio.ServicerContext[Any, Any],
    ) -> evaluation_pb2.EvaluateResponse:
        key = await self._keys.any_key(context.invocation_metadata())
        check(_violations(request))
        replica = await self._replicas.get(key.environment_id)
        snapshot = replica.view.snapshot
        results = _results(snapshot, tuple(request.flag_keys), context_from_proto(request.context))
        for_client = key.kind is SdkKeyKind.CLIENT
        return evaluation_pb2.EvaluateResponse(
            results=[result_to_proto(each, for_client=for_client) for each in results],
            revision=snapshot.revision,
        )


def _results(snapshot: Snapshot, keys: tuple[str, ...], context: Context) -> list[Result]:
    now = now_ms()
    if not keys:
        return list(evaluate_all(snapshot, context, now).values())
    return [evaluate(snapshot, key, context, now) for key in keys]


def _violations(request: evaluation_pb2.EvaluateRequest) -> Iterator[Violation]:
    yield from context_violations(request.context, "context")
    if len(request.flag_keys) > EVALUATED_FLAGS:
        yield Violation("flag_keys", f"has {len(request.flag_keys)}; at most {EVALUATED_FLAGS}")
        return
    for index, key in enumerate(request.flag_keys):
        yield from text_violations(f"flag_keys[{index}]", key, 1, FLAG_KEY_BYTES)
