"""`featmesh explain`: every step of one evaluation, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.evaluation.v1.evaluation_pb2_grpc import EvaluationServiceStub
from featmesh.flag.v1 import condition_pb2
from featmesh.wire import context_to_proto
from featmesh_cli.access import TIMEOUT, Evaluation, evaluation
from featmesh_cli.contexts import attribute_option, context_from, user_option
from featmesh_cli.output import echo, json_option, print_one

SHOWN_VALUES = 5
"""Values of a condition that stand in its line."""


@click.command()
@click.argument("flag")
@user_option
@attribute_option
@json_option
@evaluation
def explain(
    access: Evaluation, flag: str, user: str, attributes: tuple[str, ...], as_json: bool
) -> None:
    """Show why a flag answers as it does for a user: each step, and what it compared."""
    request = evaluation_pb2.EvaluateRequest(
        context=context_to_proto(context_from(user, attributes)), flag_keys=[flag], explain=True
    )
    with access.open() as channel:
        stub = EvaluationServiceStub(channel)
        answer = stub.Evaluate(request, metadata=access.metadata, timeout=TIMEOUT)
    if as_json:
        print_one(answer)
        return
    for line in _lines(answer.results[0], answer.explanations[0]):
        echo(line)


def _lines(
    result: evaluation_pb2.EvaluationResult, explanation: evaluation_pb2.Explanation
) -> Iterator[str]:
    for prerequisite in explanation.prerequisites:
        required = f"{prerequisite.flag_key} must serve {prerequisite.required_variation_id}"
        yield f"{_mark(prerequisite.holds)} prerequisite: {required}"
    for target in explanation.targets:
        yield f"{_mark(target.holds)} target list of {target.variation_id}: {target.size} keys"
    for rule in explanation.rules:
        yield f"{_mark(rule.holds)} rule {rule.rule_name or rule.rule_id}"
        yield from (f"    {_condition(condition)}" for condition in rule.conditions)
    if explanation.HasField("rollout"):
        yield from _rollout(explanation.rollout)
    served = result.variation_id or evaluation_pb2.ErrorKind.Name(result.error_kind)
    yield f"→ {served}: {explanation.why}"


def _condition(trace: evaluation_pb2.ConditionTrace) -> str:
    condition = trace.condition
    operator = condition_pb2.Operator.Name(condition.operator).removeprefix("OPERATOR_")
    values = ", ".join(condition.values[:SHOWN_VALUES])
    more = " …" if len(condition.values) > SHOWN_VALUES else ""
    actual = ", ".join(trace.actual[:SHOWN_VALUES]) or "nothing"
    subject = condition.attribute or "segments"
    return f"{_mark(trace.holds)} {subject} {operator} {values}{more}  (has {actual})"


def _rollout(trace: evaluation_pb2.RolloutTrace) -> Iterator[str]:
    if trace.HasField("bucket"):
        yield f"  rollout: bucket {trace.bucket} of {trace.hashed!r} ({trace.dispatch_attribute})"
    for share in trace.shares:
        buckets = f"{share.weight / 1_000:g} %, {share.start} to {share.end - 1}"
        yield f"    {_mark(share.served)} {share.variation_id}: {buckets}"
    if trace.HasField("experiment_bucket"):
        yield f"    experiment: bucket {trace.experiment_bucket}"


def _mark(holds: bool) -> str:
    return "✓" if holds else "✗"
