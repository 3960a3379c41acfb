"""EvaluationService: flags of one context, evaluated and explained here."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from featmesh.engine import evaluate, explain
from featmesh.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from featmesh.wire import context_from_proto, explanation_to_proto, result_to_proto
from services.evaluation.auth.callers import Callers
from services.evaluation.auth.sdk_keys import environment_of_key
from services.evaluation.clock import ClockMs
from services.evaluation.events.end_users import SeenUsers
from services.evaluation.limits import EXPLAINED_FLAGS
from services.evaluation.replica.replica import Replicas
from services.runtime.contexts import context_violations
from services.runtime.errors import PermissionDenied
from services.runtime.field_rules import check_message
from services.runtime.interceptor import Context
from services.runtime.violations import Violations


class EvaluationServicer(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Answers from the replica, at one revision."""

    def __init__(
        self, callers: Callers, replicas: Replicas, users: SeenUsers, clock_ms: ClockMs
    ) -> None:
        self._callers = callers
        self._replicas = replicas
        self._users = users
        self._clock_ms = clock_ms

    async def Evaluate(  # noqa: N802 -- gRPC's name
        self, request: evaluation_pb2.EvaluateRequest, context: Context | Any
    ) -> evaluation_pb2.EvaluateResponse:
        """See evaluation.proto."""
        caller = await self._callers.find(context.invocation_metadata(), request.environment)
        if request.explain and not caller.sees_rules:
            raise PermissionDenied("a client SDK key does not see rules; explain needs another key")
        _check(request)
        whom = context_from_proto(request.context)
        with environment_of_key() if caller.is_application else nullcontext():
            replica = await self._replicas.get(caller.environment_id)
        if caller.is_application:
            self._users.see(caller.environment_id, whom)
        snapshot = replica.view.snapshot
        now_ms = self._clock_ms()
        keys = request.flag_keys or snapshot.live_flag_keys()
        response = evaluation_pb2.EvaluateResponse(revision=snapshot.revision)
        if request.explain:
            explanations = [
                explain(snapshot, each, whom, now_ms) for each in keys[:EXPLAINED_FLAGS]
            ]
            response.explanations.extend(map(explanation_to_proto, explanations))
            results = [each.result for each in explanations]
        else:
            results = [evaluate(snapshot, each, whom, now_ms) for each in keys]
        response.results.extend(
            result_to_proto(each, for_client=not caller.sees_rules) for each in results
        )
        return response


def _check(request: evaluation_pb2.EvaluateRequest) -> None:
    """Raises `InvalidArgument` with every broken field."""
    violations = Violations()
    # The context apart: that is half the work of its rules.
    check_message(violations, "", request, only=("flag_keys", "environment"))
    violations.extend(context_violations(request.context, "context"))
    keys = len(request.flag_keys)
    if request.explain and keys > EXPLAINED_FLAGS:
        violations.add("flag_keys", f"has {keys} entries; with explain at most {EXPLAINED_FLAGS}")
    violations.finish()
