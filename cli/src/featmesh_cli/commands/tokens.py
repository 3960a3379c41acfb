"""`featmesh tokens` and `featmesh whoami`: who may call the management API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

import click
from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.management.v1 import access_token_service_pb2 as pb
from featmesh.management.v1 import resource_pb2
from featmesh.management.v1.access_token_service_pb2_grpc import AccessTokenServiceStub
from featmesh.management.v1.mutation_pb2 import MutationOptions
from featmesh_cli.access import Management, management
from featmesh_cli.kinds import Field, Kind
from featmesh_cli.options import comment_option, name_argument, parent_option
from featmesh_cli.output import (
    echo,
    json_option,
    print_one,
    print_table,
    shown_enum,
    shown_time,
)
from featmesh_cli.resource import resource_group, show_created

_KINDS: Final = {
    "personal": pb.ACCESS_TOKEN_KIND_PERSONAL,
    "service": pb.ACCESS_TOKEN_KIND_SERVICE,
}
_ROLES: Final = {
    shown_enum(pb.Role, number): number
    for number in pb.Role.values()
    if number != pb.ROLE_UNSPECIFIED
}


def _grants(texts: Iterable[str]) -> list[pb.Grant]:
    """Reads `editor`, which is everywhere, or `editor@organizations/acme`, there and below."""
    return [_grant(*text.partition("@")[::2]) for text in texts]


def _grant(role: str, place: str) -> pb.Grant:
    if role not in _ROLES:
        told = f"{role!r} is no role; there are {', '.join(_ROLES)}"
        raise click.BadParameter(told, param_hint="--grant")
    return pb.Grant(role=_ROLES[role], resource=place)


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time.replace(tzinfo=UTC))
    return message


ACCESS_TOKEN: Final = Kind(
    noun="access token",
    collection="tokens",
    service=pb.DESCRIPTOR.services_by_name["AccessTokenService"],
    parent="organizations",
    columns={
        "RESOURCE": lambda token: token.name,
        "KIND": lambda token: shown_enum(pb.AccessTokenKind, token.kind),
        "GRANTS": lambda token: ", ".join(_shown_grants(token.grants)),
        "LAST 4": lambda token: token.last_characters,
        "EXPIRES": lambda token: shown_time(token.expires_at),
        "USED": lambda token: shown_time(token.last_used_at),
        "REVOKED": lambda token: shown_time(token.revoked_at),
        "NAME": lambda token: token.display_name,
    },
    fields=(
        Field("display_name", "--name", "Shown to operators and in the audit log."),
        Field(
            "kind",
            "--kind",
            "A person's, or a program's.",
            type=click.Choice(list(_KINDS)),
            convert=_KINDS.__getitem__,
            updates=False,
            default="personal",
        ),
        Field(
            "grants",
            "--grant",
            "ROLE everywhere, or ROLE@NAME in an organization, project or environment;"
            f" may be given often. Roles: {', '.join(_ROLES)}.",
            metavar="ROLE[@NAME]",
            multiple=True,
            convert=_grants,
            required=True,
        ),
        Field(
            "expires_at",
            "--expires",
            "When it ends, in UTC; in 90 days if not given.",
            type=click.DateTime(),
            convert=_timestamp,
            updates=False,
        ),
    ),
    has_key=False,
    is_parent_optional=True,
)

tokens = resource_group(
    ACCESS_TOKEN,
    "tokens",
    help_text="Access tokens of the management API; without --organization the installation's.",
)


@tokens.command("rotate")
@name_argument(ACCESS_TOKEN)
@parent_option(ACCESS_TOKEN)
@click.option("--expires", type=click.DateTime(), help="When the new secret ends, in UTC.")
@comment_option
@management
def rotate_token(
    access: Management, name: str, parent: str | None, expires: datetime | None, comment: str
) -> None:
    """Give a token a new secret, printed this once; the old one ends within seconds."""
    answer = ACCESS_TOKEN.call(
        access,
        "Rotate",
        name=ACCESS_TOKEN.full_name(access, parent, name),
        expires_at=_timestamp(expires),
        options=MutationOptions(comment=comment),
    )
    show_created(ACCESS_TOKEN, answer)


@tokens.command("revoke")
@name_argument(ACCESS_TOKEN)
@parent_option(ACCESS_TOKEN)
@comment_option
@management
def revoke_token(access: Management, name: str, parent: str | None, comment: str) -> None:
    """Make a token useless for good, within seconds."""
    full_name = ACCESS_TOKEN.full_name(access, parent, name)
    options = MutationOptions(comment=comment)
    token = ACCESS_TOKEN.body(ACCESS_TOKEN.call(access, "Revoke", name=full_name, options=options))
    echo(f"{token.display_name} (…{token.last_characters}) is revoked.")


@click.command()
@json_option
@management
def whoami(access: Management, as_json: bool) -> None:
    """Show whom the token makes you, and what you may do where."""
    stub = AccessTokenServiceStub(access.channel)
    answer = access.call(stub.GetCaller, pb.GetCallerRequest())
    if as_json:
        print_one(answer)
        return
    caller = answer.caller
    rows = [
        ("name", caller.display_name),
        ("kind", shown_enum(resource_pb2.ActorKind, caller.kind)),
        ("id", caller.id),
        ("expires", shown_time(answer.expires_at)),
        *(("may act as", grant) for grant in _shown_grants(answer.grants)),
    ]
    print_table(("FIELD", "VALUE"), rows, empty="")


def _shown_grants(grants: Iterable[pb.Grant]) -> Iterator[str]:
    for grant in grants:
        role = shown_enum(pb.Role, grant.role)
        yield f"{role}@{grant.resource}" if grant.resource else role
