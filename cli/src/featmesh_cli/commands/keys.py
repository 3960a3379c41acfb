"""`featmesh keys`: SDK keys."""

from __future__ import annotations

from typing import Final

import click

from featmesh.management.v1 import sdk_key_service_pb2 as pb
from featmesh.management.v1.mutation_pb2 import MutationOptions
from featmesh_cli.access import Management, management
from featmesh_cli.kinds import Field, Kind
from featmesh_cli.options import comment_option, name_argument
from featmesh_cli.output import echo, shown_enum, shown_time
from featmesh_cli.resource import resource_group

_KINDS: Final = {"server": pb.SDK_KEY_KIND_SERVER, "client": pb.SDK_KEY_KIND_CLIENT}

SDK_KEY: Final = Kind(
    noun="SDK key",
    collection="sdkKeys",
    service=pb.DESCRIPTOR.services_by_name["SdkKeyService"],
    parent="environments",
    columns={
        "ID": lambda key: key.meta.id,
        "KIND": lambda key: shown_enum(pb.SdkKeyKind, key.kind),
        "LAST 4": lambda key: key.last_characters,
        "CREATED": lambda key: shown_time(key.meta.created_at),
        "REVOKED": lambda key: shown_time(key.revoked_at),
        "NAME": lambda key: key.display_name,
    },
    fields=(
        Field("display_name", "--name", "Shown to operators."),
        Field(
            "kind",
            "--kind",
            "Server keys are secret; client keys may be public.",
            type=click.Choice(list(_KINDS)),
            convert=_KINDS.__getitem__,
            updates=False,
            default="server",
        ),
    ),
    has_key=False,
)

keys = resource_group(
    SDK_KEY, "keys", help_text="SDK keys, with which applications open an environment."
)


@keys.command("revoke")
@name_argument(SDK_KEY)
@comment_option
@management
def revoke_key(access: Management, name: str, comment: str) -> None:
    """Make an SDK key useless for good."""
    full_name = SDK_KEY.full_name(access, None, name)
    options = MutationOptions(comment=comment)
    key = SDK_KEY.body(SDK_KEY.call(access, "Revoke", name=full_name, options=options))
    echo(f"{key.display_name} (…{key.last_characters}) is revoked.")
