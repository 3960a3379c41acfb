"""`featmesh segments add-users` and `featmesh flags add-users`: target lists of found users."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from featmesh.flag.v1 import flag_pb2, segment_pb2
from featmesh.management.v1.mutation_pb2 import MutationOptions
from featmesh.wire.limits import rule_of
from featmesh_cli.access import Management, management
from featmesh_cli.commands.definitions import FLAG, SEGMENT
from featmesh_cli.errors import CommandError
from featmesh_cli.kinds import Kind
from featmesh_cli.options import comment_option, name_argument
from featmesh_cli.output import echo
from featmesh_cli.propagation import Written, with_propagation_wait
from featmesh_cli.resource import update_resource, written

MAX_KEYS = rule_of(segment_pb2.Segment, "included").max_count
"""Keys that a list of a segment holds, and all lists of a flag together."""


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
@name_argument(SEGMENT)
@_key_options
@comment_option
@management
@with_propagation_wait
def add_to_segment(
    access: Management, name: str, users: tuple[str, ...], file: Path | None, comment: str
) -> Written | None:
    """Add users to a segment's included list; one that changes meanwhile is left as it is."""
    keys = _keys(users, file)
    resource = SEGMENT.get(access, SEGMENT.full_name(access, None, name))
    segment = resource.segment
    added = _missing(keys, segment.included)
    if added:
        segment.included.extend(added)
        resource = _stored(access, SEGMENT, resource, comment)
    _told(f"segment {name}", len(added), len(keys), resource.meta.revision)
    excluded = set(keys) & set(segment.excluded)
    if excluded:
        click.echo(f"{len(excluded)} of them are excluded, which goes before included.", err=True)
    return written(SEGMENT, resource)


@click.command("add-users")
@name_argument(FLAG)
@click.option("--variation", required=True, metavar="ID", help="What they are served.")
@_key_options
@comment_option
@management
@with_propagation_wait
def add_to_flag(
    access: Management, /, name: str, variation: str, comment: str, **given: Any
) -> Written | None:
    """Target users with a variation of a flag; a flag that changes meanwhile is left as it is."""
    keys = _keys(**given)
    resource = FLAG.get(access, FLAG.full_name(access, None, name))
    added = _add_targets(resource.flag, variation, keys)
    if added:
        resource = _stored(access, FLAG, resource, comment)
    _told(f"targets of {name} for {variation}", added, len(keys), resource.meta.revision)
    return written(FLAG, resource)


def _stored(access: Management, kind: Kind, resource: Any, comment: str) -> Any:
    """Writes the definition that was changed, if it is still the one that was read."""
    definition = kind.noun
    changed = kind.resource(name=resource.name, **{definition: getattr(resource, definition)})
    options = MutationOptions(comment=comment)
    return update_resource(access, kind, changed, resource, [definition], options)


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
    echo(
        f"{added} users added to {where}, {given - added} were there already (revision {revision})."
    )
