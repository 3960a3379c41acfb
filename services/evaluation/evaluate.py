"""EvaluationService: flags of one context, evaluated here."""

from __future__ import annotations

from typing import Any

from featmesh.engine import evaluate
from featmesh.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from featmesh.wire import result_to_proto
from services.evaluation.authentication import SdkKeys
from services.evaluation.contexts import read_context, text_violations
from services.evaluation.feeds import ClockMs
from services.evaluation.limits import EVALUATED_FLAGS, FLAG_KEY_BYTES
from services.evaluation.replica import Replicas
from services.evaluation.seen_users import SeenUsers
from services.runtime.errors import InvalidArgument
from services.runtime.interceptor import Context
from services.storage.model import SdkKeyKind


class EvaluationServicer(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Answers from the replica, at one revision."""

    def __init__(
        self, keys: SdkKeys, replicas: Replicas, users: SeenUsers, clock_ms: ClockMs
    ) -> None:
        self._keys = keys
        self._replicas = replicas
        self._users = users
        self._clock_ms = clock_ms

    async def Evaluate(  # noqa: N802 -- gRPC's name
        self, request: evaluation_pb2.EvaluateRequest, context: Context | Any
    ) -> evaluation_pb2.EvaluateResponse:
        """See evaluation.proto."""
        key = await self._keys.any_key(context.invocation_metadata())
        whom = read_context(request.context)
        _check_keys(request)
        replica = await self._replicas.get(key.environment_id)
        self._users.see(key.environment_id, whom)
        snapshot = replica.view.snapshot
        now_ms = self._clock_ms()
        results = (
            evaluate(snapshot, each, whom, now_ms)
            for each in request.flag_keys or snapshot.live_flag_keys()
        )
        for_client = key.kind is SdkKeyKind.CLIENT
        return evaluation_pb2.EvaluateResponse(
            results=[result_to_proto(each, for_client=for_client) for each in results],
            revision=snapshot.revision,
        )


def _check_keys(request: evaluation_pb2.EvaluateRequest) -> None:
    if len(request.flag_keys) > EVALUATED_FLAGS:
        text = f"has {len(request.flag_keys)} keys; at most {EVALUATED_FLAGS}"
        raise InvalidArgument.of("flag_keys", text)
    violations = [
        violation
        for index, flag_key in enumerate(request.flag_keys)
        for violation in text_violations(f"flag_keys[{index}]", flag_key, 1, FLAG_KEY_BYTES)
    ]
    if violations:
        raise InvalidArgument(violations)
