"""What flags and segments have in common: archive, restore, history and rollback."""

from __future__ import annotations

from typing import Any, Final

import click

from featmesh.flag.v1 import value_pb2
from featmesh.management.v1 import flag_service_pb2, segment_service_pb2
from featmesh.management.v1.mutation_pb2 import MutationOptions
from featmesh_cli.access import Management, management
from featmesh_cli.commands.labels import DEFINITION_LABELS
from featmesh_cli.kinds import Kind
from featmesh_cli.options import comment_option, name_argument
from featmesh_cli.output import echo, json_option, print_list, shown_enum, shown_time
from featmesh_cli.paging import limit_option, listed
from featmesh_cli.propagation import Written, with_propagation_wait
from featmesh_cli.resource import written


def definition_of(resource: Any) -> Any:
    """Returns the flag or segment that engines read."""
    return resource.flag if hasattr(resource, "flag") else resource.segment


def state_of(resource: Any) -> str:
    """Returns whether it is archived, else what it does."""
    definition = definition_of(resource)
    if definition.archived:
        return "archived"
    if not hasattr(definition, "enabled"):
        return "active"
    return "on" if definition.enabled else "off"


FLAG: Final = Kind(
    noun="flag",
    collection="flags",
    service=flag_service_pb2.DESCRIPTOR.services_by_name["FlagService"],
    parent="environments",
    columns={
        "KEY": lambda flag: flag.flag.key,
        "STATE": state_of,
        "TYPE": lambda flag: shown_enum(value_pb2.ValueType, flag.flag.value_type),
        "VERSION": lambda flag: str(flag.meta.version),
        "UPDATED": lambda flag: shown_time(flag.meta.updated_at),
        "NAME": lambda flag: flag.display_name,
    },
    fields=DEFINITION_LABELS,
    is_definition=True,
)
SEGMENT: Final = Kind(
    noun="segment",
    collection="segments",
    service=segment_service_pb2.DESCRIPTOR.services_by_name["SegmentService"],
    parent="environments",
    columns={
        "KEY": lambda segment: segment.segment.key,
        "STATE": state_of,
        "INCLUDED": lambda segment: str(segment.counts.included),
        "EXCLUDED": lambda segment: str(segment.counts.excluded),
        "RULES": lambda segment: str(segment.counts.rules),
        "VERSION": lambda segment: str(segment.meta.version),
        "UPDATED": lambda segment: shown_time(segment.meta.updated_at),
        "NAME": lambda segment: segment.display_name,
    },
    fields=DEFINITION_LABELS,
    is_definition=True,
)

_VERSION_COLUMNS: Final = {
    "VERSION": lambda version: str(version.version),
    "STATE": lambda version: (
        state_of(version.resource) if version.HasField("resource") else "deleted"
    ),
    "REVISION": lambda version: str(version.revision),
    "UPDATED": lambda version: shown_time(version.resource.meta.updated_at),
    "BY": lambda version: version.resource.meta.updated_by.display_name,
    "NAME": lambda version: version.resource.display_name,
}


def add_definition_commands(group: click.Group, kind: Kind) -> None:
    """Adds the commands that flags and segments have beside those of every resource."""
    group.add_command(_state_command(kind, "archive", f"Hide a {kind.noun} from SDKs."))
    group.add_command(_state_command(kind, "restore", f"Bring an archived {kind.noun} back."))
    group.add_command(_history_command(kind))
    group.add_command(_rollback_command(kind))


def show_state(resource: Any) -> None:
    """Prints what a flag or segment is like now."""
    key, revision = definition_of(resource).key, resource.meta.revision
    echo(f"{key} is {state_of(resource)} (revision {revision}).")


def _state_command(kind: Kind, verb: str, help_text: str) -> click.Command:
    @click.command(verb, help=help_text)
    @name_argument(kind)
    @comment_option
    @management
    @with_propagation_wait
    def command(access: Management, name: str, comment: str) -> Written | None:
        full_name = kind.full_name(access, None, name)
        options = MutationOptions(comment=comment)
        answer = kind.call(access, verb.title(), name=full_name, options=options)
        show_state(answer.resource)
        return written(kind, answer.resource)

    return command


def _history_command(kind: Kind) -> click.Command:
    help_text = f"List a {kind.noun}'s versions, newest first, those of a deleted one too."
    verb = "Versions"

    @click.command("history", help=help_text)
    @name_argument(kind)
    @limit_option(50, low=1)
    @json_option
    @management
    def command(access: Management, name: str, limit: int, as_json: bool) -> None:
        request = kind.request(verb, name=kind.full_name(access, None, name))
        found = listed(access, kind.stub(access, verb), request, limit=limit)
        print_list(found, _VERSION_COLUMNS, as_json=as_json, empty="No versions.")

    return command


def _rollback_command(kind: Kind) -> click.Command:
    help_text = f"Store an earlier version again, as a new one; a deleted {kind.noun} comes back."
    version = click.IntRange(1)

    @click.command("rollback", help=help_text)
    @name_argument(kind)
    @click.option("--to", "to_version", required=True, type=version, help="Version to go back to.")
    @comment_option
    @management
    @with_propagation_wait
    def command(access: Management, name: str, to_version: int, comment: str) -> Written | None:
        answer = kind.call(
            access,
            "Rollback",
            name=kind.full_name(access, None, name),
            to_version=to_version,
            options=MutationOptions(comment=comment),
        )
        meta = answer.resource.meta
        now = f"now version {meta.version} (revision {meta.revision})"
        echo(f"{name} is as in version {to_version}: {now}.")
        return written(kind, answer.resource)

    return command
