"""How far a change has come: `--wait` of every command that writes, and `featmesh propagation`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, NamedTuple, ParamSpec

import click
import grpc
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from featmesh.management.v1 import propagation_service_pb2 as pb
from featmesh.management.v1.propagation_service_pb2_grpc import PropagationServiceStub
from featmesh_cli.access import Management
from featmesh_cli.errors import CommandError

LONGEST_WAIT = 600.0
"""Seconds; the server ends a watch then."""

P = ParamSpec("P")
Show = Callable[[pb.WatchPropagationResponse], None]

timeout_option = click.option(
    "--wait-timeout",
    type=click.FloatRange(0, LONGEST_WAIT, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait; the exit code is 1 when streams are behind then.",
)


class Written(NamedTuple):
    """A change that SDKs see."""

    environment: str
    """Its full name."""
    revision: int


def with_propagation_wait(
    command: Callable[Concatenate[Management, P], Written | None],
) -> Callable[Concatenate[Management, P], None]:
    """Gives a command that writes the option to wait for its change.

    Args:
        command: Returns what it wrote, or None for nothing.
    """

    @click.option("--wait", is_flag=True, help="Wait until every connected SDK has applied it.")
    @timeout_option
    @functools.wraps(command)
    def run(access: Management, /, *args: P.args, **options: P.kwargs) -> None:
        is_awaited = bool(options.pop("wait"))
        seconds = float(str(options.pop("wait_timeout")))
        written = command(access, *args, **options)
        if is_awaited and written:
            follow(access, written, seconds)

    return run


def follow(access: Management, awaited: Written, seconds: float) -> None:
    """Shows the propagation of a change until it is complete.

    Args:
        access: The management API.
        awaited: What to wait for; revision 0 is the environment's current one.
        seconds: How long.

    Raises:
        CommandError: It is not complete by then; says how many streams are behind.
    """
    request = pb.WatchPropagationRequest(name=awaited.environment, revision=awaited.revision)
    last = pb.WatchPropagationResponse(revision=awaited.revision)
    with _display() as show:
        try:
            for last in PropagationServiceStub(access.channel).WatchPropagation(
                request, metadata=access.metadata, timeout=seconds
            ):
                show(last)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
    if not last.complete:
        raise CommandError(_behind(last, seconds))
    click.echo(_complete(last))


@contextmanager
def _display() -> Iterator[Show]:
    """A progress bar for each step on a terminal, a line for each change elsewhere."""
    console = Console()
    if not console.is_terminal:
        yield lambda state: click.echo(_line(state))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[times]}"),
    )
    with Progress(*columns, console=console) as progress:
        delivered = progress.add_task("delivered", total=None, times="")
        applied = progress.add_task("applied", total=None, times="")

        def show(state: pb.WatchPropagationResponse) -> None:
            for task, count, times in (
                (delivered, state.delivered_streams, state.delivered),
                (applied, state.applied_streams, state.applied),
            ):
                total = state.connected_streams
                progress.update(task, total=total, completed=count, times=_times(times))

        yield show


def _line(state: pb.WatchPropagationResponse) -> str:
    return (
        f"{state.connected_streams} streams connected,"
        f" {state.delivered_streams} delivered, {state.applied_streams} applied"
    )


def _complete(state: pb.WatchPropagationResponse) -> str:
    if not state.connected_streams:
        return f"Revision {state.revision}: no stream is connected."
    steps = (("delivered", state.delivered), ("applied", state.applied))
    shown = "; ".join(f"{name} {_times(times)}" for name, times in steps if times.streams)
    end = f": {shown}." if shown else "."
    total = state.connected_streams
    return (
        f"Revision {state.revision} is applied by {state.applied_streams} of {total} streams{end}"
    )


def _behind(state: pb.WatchPropagationResponse, seconds: float) -> str:
    if not state.connected_streams:
        return f"nothing was heard of revision {state.revision} within {seconds:g} seconds"
    total = state.connected_streams
    return (
        f"{total - state.applied_streams} of {total} streams have not applied revision"
        f" {state.revision} within {seconds:g} seconds"
        f" ({total - state.delivered_streams} have not been handed it)"
    )


def _times(times: pb.PropagationTimes) -> str:
    return f"p50 {times.p50_ms:.0f} ms, p99 {times.p99_ms:.0f} ms" if times.streams else ""
