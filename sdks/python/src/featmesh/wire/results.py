"""Results of evaluations, between the engine's model and the wire."""

from __future__ import annotations

from featmesh.engine.model import ErrorKind, Reason, Result, Value, ValueType
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.wire.values import value_from_proto, value_to_proto

_REASON_TO_PROTO = {
    reason: evaluation_pb2.Reason.Value(f"REASON_{reason.name}") for reason in Reason
}
_REASON_FROM_PROTO = {number: reason for reason, number in _REASON_TO_PROTO.items()}
_ERROR_TO_PROTO = {
    kind: evaluation_pb2.ErrorKind.Value(f"ERROR_KIND_{kind.name}") for kind in ErrorKind
}
_ERROR_FROM_PROTO = {number: kind for kind, number in _ERROR_TO_PROTO.items()}


def result_to_proto(result: Result, *, for_client: bool) -> evaluation_pb2.EvaluationResult:
    """The message of a result; a client learns nothing of rules and prerequisites."""
    message = evaluation_pb2.EvaluationResult(
        flag_key=result.flag_key,
        variation_id=result.variation_id,
        reason=_REASON_TO_PROTO[result.reason],
        bucketed=result.bucketed,
        in_experiment=result.in_experiment,
        flag_revision=result.flag_revision,
    )
    if result.value is not None:
        value_type = result.value_type or _natural_type(result.value)
        message.value.CopyFrom(value_to_proto(result.value, value_type))
    if result.error_kind is not None:
        message.error_kind = _ERROR_TO_PROTO[result.error_kind]
    if not for_client:
        message.rule_id = result.rule_id
        message.rule_name = result.rule_name
        message.prerequisite_key = result.prerequisite_key
    return message


def result_from_proto(message: evaluation_pb2.EvaluationResult) -> Result:
    """A result. Never raises.

    One without a value is an error, of kind GENERAL if it names none that is known here.
    One with a value and a reason unknown here keeps its value, as a FALLTHROUGH.
    """
    typed = value_from_proto(message.value)
    reason = _REASON_FROM_PROTO.get(message.reason, Reason.FALLTHROUGH)
    if typed is None or reason is Reason.ERROR or message.error_kind:
        return _error_from_proto(message)
    value, value_type = typed
    return Result(
        flag_key=message.flag_key,
        value=value,
        variation_id=message.variation_id,
        reason=reason,
        rule_id=message.rule_id,
        rule_name=message.rule_name,
        bucketed=message.bucketed,
        in_experiment=message.in_experiment,
        flag_revision=message.flag_revision,
        prerequisite_key=message.prerequisite_key,
        value_type=value_type,
    )


def _error_from_proto(message: evaluation_pb2.EvaluationResult) -> Result:
    return Result(
        flag_key=message.flag_key,
        value=None,
        variation_id="",
        reason=Reason.ERROR,
        flag_revision=message.flag_revision,
        error_kind=_ERROR_FROM_PROTO.get(message.error_kind, ErrorKind.GENERAL),
    )


def _natural_type(value: Value) -> ValueType:
    if isinstance(value, bool):
        return ValueType.BOOLEAN
    return ValueType.STRING if isinstance(value, str) else ValueType.NUMBER
