"""`featmesh segments add-users` and `featmesh flags add-users`: target lists of found users."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from featmesh.flag.v1 import flag_pb2
from featmesh.management.v1 import flag_service_pb2, mutation_pb2, segment_service_pb2
from featmesh.management.v1.flag_service_pb2_grpc import FlagServiceStub
from featmesh.management.v1.segment_service_pb2_grpc import SegmentServiceStub
from featmesh_cli.access import TIMEOUT, Management, management
from featmesh_cli.errors import CommandError

MAX_KEYS = 100_000
"""What a list of a segment or flag holds."""

_comment = click.option("--comment", default="", help="Why, for the audit log.")


def _key_options(command: Callable[..., None]) -> Callable[..., None]:
    users = click.option("--user", "users", multiple=True, help="A key; may be given often.")
    file = click.option(
        "--from-file",
        "file",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        default=None,
        help="One key on each line, as `users list --keys-only` prints; - for standard input.",
    )
    return users(file(command))


@click.command("add-users")
@click.argument("key")
@_key_options
@_comment
@management
def add_to_segment(
    access: Management, key: str, users: tuple[str, ...], file: Path | None, comment: str
) -> None:
    """Add users to a segment's included list; one that changes meanwhile is left as it is."""
    keys = _keys(users, file)
    stub = SegmentServiceStub(access.channel)
    get = segment_service_pb2.GetSegmentRequest(environment_id=access.environment_id, key=key)
    resource = stub.GetSegment(get, metadata=access.metadata, timeout=TIMEOUT).resource
    segment = resource.segment
    added = _missing(keys, segment.included)
    if added:
        segment.included.extend(added)
        request = segment_service_pb2.UpdateSegmentRequest(
            environment_id=access.environment_id,
            resource=resource,
            options=mutation_pb2.MutationOptions(comment=comment),
        )
        answer = stub.UpdateSegment(request, metadata=access.metadata, timeout=TIMEOUT)
        segment = answer.resource.segment
    _told(f"segment {key}", len(added), len(keys), segment.revision)
    excluded = set(keys) & set(segment.excluded)
    if excluded:
        click.echo(f"{len(excluded)} of them are excluded, which goes before included.", err=True)


@click.command("add-users")
@click.argument("key")
@click.option("--variation", required=True, metavar="ID", help="What they are served.")
@_key_options
@_comment
@management
def add_to_flag(
    access: Management,
    key: str,
    variation: str,
    users: tuple[str, ...],
    file: Path | None,
    comment: str,
) -> None:
    """Target users with a variation of a flag; a flag that changes meanwhile is left as it is."""
    keys = _keys(users, file)
    stub = FlagServiceStub(access.channel)
    get = flag_service_pb2.GetFlagRequest(environment_id=access.environment_id, key=key)
    resource = stub.GetFlag(get, metadata=access.metadata, timeout=TIMEOUT).resource
    added = _add_targets(resource.flag, variation, keys)
    flag = resource.flag
    if added:
        request = flag_service_pb2.UpdateFlagRequest(
            environment_id=access.environment_id,
            resource=resource,
            options=mutation_pb2.MutationOptions(comment=comment),
        )
        answer = stub.UpdateFlag(request, metadata=access.metadata, timeout=TIMEOUT)
        flag = answer.resource.flag
    _told(f"targets of {key} for {variation}", added, len(keys), flag.revision)


def _add_targets(flag: flag_pb2.Flag, variation: str, keys: list[str]) -> int:
    """How many were added. Raises `CommandError` for one that has another variation."""
    if variation not in {each.id for each in flag.variations}:
        known = ", ".join(each.id for each in flag.variations)
        raise CommandError(f"{flag.key} has no variation {variation!r}, but {known}")
    wanted = set(keys)
    for target in flag.targets:
        elsewhere = wanted & set(target.keys) if target.variation_id != variation else set()
        if elsewhere:
            shown = tuple(sorted(elsewhere)[:10])
            other = target.variation_id
            raise CommandError(f"{len(elsewhere)} users are targeted with {other} already:", shown)
    lists = [each for each in flag.targets if each.variation_id == variation]
    target = lists[0] if lists else flag.targets.add(variation_id=variation)
    added = _missing(keys, target.keys)
    target.keys.extend(added)
    return len(added)


def _keys(users: tuple[str, ...], file: Path | None) -> list[str]:
    """In the order given, each once."""
    keys = dict.fromkeys(users)
    if file is not None:
        keys.update(dict.fromkeys(_lines(file)))
    if not keys:
        raise click.UsageError("no users: give --user or --from-file")
    if len(keys) > MAX_KEYS:
        raise CommandError(f"{len(keys)} users; a list holds {MAX_KEYS}")
    return list(keys)


def _lines(file: Path) -> Iterable[str]:
    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    return (line.strip() for line in text.splitlines() if line.strip())


def _missing(keys: list[str], present: Iterable[str]) -> list[str]:
    known = set(present)
    return [key for key in keys if key not in known]


def _told(where: str, added: int, given: int, revision: int) -> None:
    click.echo(
        f"{added} users added to {where}, {given - added} were there already (revision {revision})."
    )
