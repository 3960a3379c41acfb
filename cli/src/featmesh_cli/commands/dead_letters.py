"""`featmesh dead-letters`: messages that could not be stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from featmesh.management.v1 import dead_letter_service_pb2 as pb
from featmesh.management.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub
from featmesh_cli.access import Management, management
from featmesh_cli.errors import CommandError
from featmesh_cli.limits import range_of
from featmesh_cli.output import Columns, json_option, print_list, shown_enum

_TOPICS = {"users": pb.MESSAGE_TOPIC_USERS, "insights": pb.MESSAGE_TOPIC_INSIGHTS}
_COLUMNS: Columns = {
    "MESSAGE": lambda letter: letter.message_id,
    "TOPIC": lambda letter: shown_enum(pb.MessageTopic, letter.topic),
    "ENVIRONMENT": lambda letter: letter.environment_id,
    "BYTES": lambda letter: f"{letter.payload_bytes:,}",
    "REASON": lambda letter: letter.reason,
}


@click.group("dead-letters")
def dead_letters() -> None:
    """See what could not be stored, and store it again or drop it.

    Dead letters belong to the whole installation. Each command looks at the oldest 1,000.
    """


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Which letters, and how many."""
    for option in (
        click.option("--topic", type=click.Choice(list(_TOPICS)), help="Only of this topic."),
        click.option(
            "--limit", type=range_of(pb.ListDeadLettersRequest, "limit"), default=100,
            show_default=True, help="How many at most.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@dead_letters.command("list")
@_options
@json_option
@management
def list_letters(access: Management, topic: str | None, limit: int, as_json: bool) -> None:
    """List the oldest with their reasons."""
    request = pb.ListDeadLettersRequest(filter=_filter(topic), limit=limit)
    answer = access.call(DeadLetterServiceStub(access.channel).ListDeadLetters, request)
    print_list(answer.dead_letters, _COLUMNS, as_json=as_json, empty="No dead letters.")


@dead_letters.command("replay")
@click.argument("messages", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Whatever is there, up to the limit.")
@_options
@management
def replay(
    access: Management, messages: Sequence[str], every: bool, topic: str | None, limit: int
) -> None:
    """Give messages to be stored again; what was stored already counts once.

    Do so once what the reason names is mended. A message that fails again comes back.
    """
    _check_choice(messages, every, topic)
    request = pb.ReplayDeadLettersRequest(filter=_filter(topic, messages), limit=limit)
    answer = access.call(DeadLetterServiceStub(access.channel).ReplayDeadLetters, request)
    click.echo(f"Replayed: {answer.replayed}.")


@dead_letters.command("drop")
@click.argument("messages", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Whatever is there, up to the limit.")
@_options
@management
def drop(
    access: Management, messages: Sequence[str], every: bool, topic: str | None, limit: int
) -> None:
    """Remove messages for good; their users and events are lost."""
    _check_choice(messages, every, topic)
    request = pb.DropDeadLettersRequest(filter=_filter(topic, messages), limit=limit)
    answer = access.call(DeadLetterServiceStub(access.channel).DropDeadLetters, request)
    click.echo(f"Dropped: {answer.dropped}.")


def _check_choice(messages: Sequence[str], every: bool, topic: str | None) -> None:
    if not messages and not every and not topic:
        raise CommandError("which ones? Give message ids, --topic or --all")


def _filter(topic: str | None, messages: Sequence[str] = ()) -> pb.DeadLetterFilter:
    wanted = _TOPICS[topic] if topic else pb.MESSAGE_TOPIC_UNSPECIFIED
    return pb.DeadLetterFilter(topic=wanted, message_ids=messages)
