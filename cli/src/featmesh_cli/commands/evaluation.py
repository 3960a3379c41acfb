"""`featmesh watch`, `evaluate` and `track`: what an application would see and say."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import click

from featmesh.client import Client, Options, Status
from featmesh.client.connection import sdk_info
from featmesh.engine import evaluate as evaluate_flag
from featmesh.engine.model import Context, Result
from featmesh.engine.snapshot import Snapshot
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.evaluation.v1.evaluation_pb2_grpc import EvaluationServiceStub
from featmesh.flag.v1 import value_pb2
from featmesh.insights.v1 import insights_pb2
from featmesh.insights.v1.insights_pb2_grpc import InsightsServiceStub
from featmesh.wire import context_to_proto
from featmesh_cli.access import TIMEOUT, Evaluation, evaluation
from featmesh_cli.contexts import attribute_option, context_from, user_option
from featmesh_cli.errors import CommandError
from featmesh_cli.output import echo, json_option, print_json, print_table

READY_TIMEOUT = 10.0
STATUS_INTERVAL = 1.0
"""Seconds between two looks at the connection's state; changes are shown at once."""


@click.command()
@click.argument("flag")
@user_option
@attribute_option
@evaluation
def watch(access: Evaluation, flag: str, user: str, attributes: tuple[str, ...]) -> None:
    """Show a flag's value for a user, and every change of it, until Ctrl-C."""
    context = context_from(user, attributes)
    changed = threading.Event()
    try:
        with _client(access) as client:
            client.on_change(lambda keys: changed.set() if flag in keys else None)
            if not client.wait_until_ready(READY_TIMEOUT):
                raise CommandError(
                    f"nothing came from {access.address} within {READY_TIMEOUT:.0f} seconds"
                )
            _follow(client, changed, flag, context)
    except KeyboardInterrupt:
        click.echo("", err=True)


@click.command()
@click.argument("flag", required=False)
@user_option
@attribute_option
@json_option
@evaluation
def evaluate(
    access: Evaluation, flag: str | None, user: str, attributes: tuple[str, ...], as_json: bool
) -> None:
    """Evaluate a flag, or all flags, for a user on the server."""
    request = evaluation_pb2.EvaluateRequest(
        context=_context_message(context_from(user, attributes)), flag_keys=[flag] if flag else []
    )
    with access.open() as channel:
        stub = EvaluationServiceStub(channel)
        answer = stub.Evaluate(request, metadata=access.metadata, timeout=TIMEOUT)
    if as_json:
        print_json(answer.results)
        return
    headings = ("FLAG", "VALUE", "REASON", "RULE", "VARIATION")
    print_table(headings, map(_row, answer.results), empty="No flags.")
    click.echo(f"The environment is at revision {answer.revision}.")


@click.command()
@click.argument("event")
@user_option
@attribute_option
@click.option("--value", type=float, default=1.0, show_default=True, help="Its number.")
@evaluation
def track(
    access: Evaluation, event: str, user: str, attributes: tuple[str, ...], value: float
) -> None:
    """Report that a user did something."""
    now_ms = time.time_ns() // 1_000_000
    metric = insights_pb2.MetricEvent(
        name=event,
        user_key=user,
        value=value,
        kind=insights_pb2.METRIC_KIND_CUSTOM,
        time_ms=now_ms,
    )
    batch = insights_pb2.TrackRequest(
        batch_id=str(uuid.uuid4()),
        sent_at_ms=now_ms,
        sdk=sdk_info(),
        users=[_context_message(context_from(user, attributes))],
        metrics=[metric],
    )
    with access.open() as channel:
        stub = InsightsServiceStub(channel)
        answer = stub.Track(batch, metadata=access.metadata, timeout=TIMEOUT)
    if answer.rejected:
        reasons = tuple(dict.fromkeys(each.reason for each in answer.rejected))
        raise CommandError("the event was refused:", reasons)
    click.echo(f"{event} of {user} is stored.")


@contextmanager
def _client(access: Evaluation) -> Iterator[Client]:
    options = Options(tls=access.tls, send_events=False)  # to watch is not to use
    try:
        client = Client(access.address, access.sdk_key, options=options)
    except ValueError as error:
        raise CommandError(str(error)) from error
    with client:
        yield client


def _follow(client: Client, changed: threading.Event, flag: str, context: Context) -> None:
    """Shows the first result and each one that differs from the one before it."""
    status, shown = client.status, None
    while True:
        changed.clear()
        snapshot = client.snapshot
        result = evaluate_flag(snapshot, flag, context, time.time_ns() // 1_000_000)
        if result != shown:
            _show(snapshot, result)
            shown = result
        changed.wait(STATUS_INTERVAL)
        if client.status is not status:
            status = client.status
            current = status is Status.READY
            click.echo("connected again" if current else "connection lost; trying again", err=True)


def _show(snapshot: Snapshot, result: Result) -> None:
    now = time.strftime("%H:%M:%S")
    if result.error_kind is not None:
        echo(f"{now}  {result.flag_key}  no value  {result.error_kind}")
        return
    shown = result.value if isinstance(result.value, str) else json.dumps(_plain(result))
    name = _variation_name(snapshot, result)
    echo(f"{now}  {result.flag_key} = {shown}  ({name})  {result.reason}{_rule(result)}")


def _plain(result: Result) -> object:
    value = result.value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _variation_name(snapshot: Snapshot, result: Result) -> str:
    flag = snapshot.flags.get(result.flag_key)
    variations = flag.variations if flag else ()
    names = (each.name for each in variations if each.id == result.variation_id)
    return next(names, "") or result.variation_id


def _rule(result: Result) -> str:
    return f" {result.rule_name or result.rule_id}" if result.rule_id else ""


def _context_message(context: Context) -> evaluation_pb2.Context:
    try:
        return context_to_proto(context)
    except (UnicodeEncodeError, OverflowError) as error:
        raise CommandError(f"the context cannot be sent: {error}") from error


def _row(result: evaluation_pb2.EvaluationResult) -> tuple[str, ...]:
    if result.error_kind:
        kind = evaluation_pb2.ErrorKind.Name(result.error_kind).removeprefix("ERROR_KIND_")
        return (result.flag_key, "", kind, "", "")
    reason = evaluation_pb2.Reason.Name(result.reason).removeprefix("REASON_")
    rule = result.rule_name or result.rule_id
    return (result.flag_key, _value_text(result.value), reason, rule, result.variation_id)


def _value_text(value: value_pb2.Value) -> str:
    kind = value.WhichOneof("kind")
    if kind is None:
        return ""
    plain = getattr(value, kind)
    return plain if isinstance(plain, str) else json.dumps(plain)
