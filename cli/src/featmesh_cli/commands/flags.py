"""`featmesh flags`."""

from __future__ import annotations

import click

from featmesh.management.v1 import flag_service_pb2 as pb
from featmesh.management.v1.flag_service_pb2_grpc import FlagServiceStub
from featmesh.management.v1.mutation_pb2 import MutationOptions
from featmesh_cli.access import Management, management
from featmesh_cli.commands.definitions import FLAG, add_definition_commands, show_state
from featmesh_cli.options import comment_option, name_argument
from featmesh_cli.propagation import Written, with_propagation_wait
from featmesh_cli.resource import resource_group, written

flags = resource_group(FLAG, "flags", help_text="Flags; a KEY may be a full name, or an id, too.")
add_definition_commands(flags, FLAG)


@flags.command("toggle")
@name_argument(FLAG)
@click.option("--on/--off", "enabled", default=None, help="Which; without it, the other one.")
@comment_option
@management
@with_propagation_wait
def toggle_flag(
    access: Management, name: str, enabled: bool | None, comment: str
) -> Written | None:
    """Turn a flag on or off."""
    full_name, version = FLAG.full_name(access, None, name), 0
    if enabled is None:
        current = FLAG.get(access, full_name)
        # Based on what was seen, so that two who toggle at once do not cancel out.
        enabled, version = not current.flag.enabled, current.meta.version
    request = pb.ToggleFlagRequest(
        name=full_name,
        base_version=version,
        enabled=enabled,
        options=MutationOptions(comment=comment),
    )
    answer = access.call(FlagServiceStub(access.channel).ToggleFlag, request)
    show_state(answer.resource)
    return written(FLAG, answer.resource)
