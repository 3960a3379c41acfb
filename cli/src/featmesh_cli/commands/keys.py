"""`featmesh keys`: SDK keys."""

from __future__ import annotations

from collections.abc import Sequence

import click

from featmesh.management.v1 import mutation_pb2, tenancy_pb2
from featmesh.management.v1.tenancy_pb2_grpc import TenancyServiceStub
from featmesh_cli.access import TIMEOUT, Management, management
from featmesh_cli.output import print_json, print_table, shown_time
from featmesh_cli.paging import all_pages

_KINDS = {
    "server": tenancy_pb2.SDK_KEY_KIND_SERVER,
    "client": tenancy_pb2.SDK_KEY_KIND_CLIENT,
}
_HEADINGS = ("ID", "KIND", "ENDS IN", "CREATED", "REVOKED", "NAME")


@click.group()
def keys() -> None:
    """List, create and revoke SDK keys."""


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@management
def list_keys(access: Management, as_json: bool) -> None:
    """List the environment's SDK keys, without their secrets."""
    stub, environment_id = TenancyServiceStub(access.channel), access.environment_id

    def fetch(page: mutation_pb2.PageRequest) -> tuple[Sequence[tenancy_pb2.SdkKey], str]:
        request = tenancy_pb2.ListSdkKeysRequest(environment_id=environment_id, page=page)
        answer = stub.ListSdkKeys(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.sdk_keys, answer.next_token

    if as_json:
        print_json(all_pages(fetch))
    else:
        print_table(_HEADINGS, map(_row, all_pages(fetch)), empty="No SDK keys.")


@keys.command("create")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(list(_KINDS)),
    default="server",
    show_default=True,
    help="Server keys are secret; client keys may be public.",
)
@management
def create_key(access: Management, name: str, kind: str) -> None:
    """Create an SDK key; prints its secret, this once."""
    request = tenancy_pb2.CreateSdkKeyRequest(
        environment_id=access.environment_id, kind=_KINDS[kind], name=name
    )
    stub = TenancyServiceStub(access.channel)
    answer = stub.CreateSdkKey(request, metadata=access.metadata, timeout=TIMEOUT)
    click.echo(f"Key {answer.sdk_key.id}; its secret is shown only now:", err=True)
    click.echo(answer.secret)


@keys.command("revoke")
@click.argument("key_id")
@management
def revoke_key(access: Management, key_id: str) -> None:
    """Make an SDK key useless for good."""
    request = tenancy_pb2.RevokeSdkKeyRequest(
        environment_id=access.environment_id, sdk_key_id=key_id
    )
    stub = TenancyServiceStub(access.channel)
    key = stub.RevokeSdkKey(request, metadata=access.metadata, timeout=TIMEOUT).sdk_key
    click.echo(f"{key.name} (…{key.last_characters}) is revoked.")


def _row(key: tenancy_pb2.SdkKey) -> tuple[str, ...]:
    kind = tenancy_pb2.SdkKeyKind.Name(key.kind).removeprefix("SDK_KEY_KIND_").lower()
    created, revoked = shown_time(key.created_at), shown_time(key.revoked_at)
    return (key.id, kind, key.last_characters, created, revoked, key.name)
