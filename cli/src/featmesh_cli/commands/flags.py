"""`featmesh flags`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from featmesh.flag.v1 import value_pb2
from featmesh.management.v1 import flag_service_pb2, mutation_pb2
from featmesh.management.v1.flag_service_pb2_grpc import FlagServiceStub
from featmesh_cli.access import TIMEOUT, Management, management
from featmesh_cli.output import print_json, print_one, print_table, shown_time
from featmesh_cli.paging import all_pages
from featmesh_cli.rollouts import waits

_HEADINGS = ("KEY", "STATE", "TYPE", "VERSION", "UPDATED", "NAME")
_VERSION_HEADINGS = ("VERSION", "STATE", "REVISION", "UPDATED", "BY", "NAME")


@click.group()
def flags() -> None:
    """List, show, switch, archive, roll back and delete flags."""


@flags.command("list")
@click.option("--archived", is_flag=True, help="Archived ones too.")
@click.option("--tag", default="", help="Only those with this tag.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@management
def list_flags(access: Management, archived: bool, tag: str, as_json: bool) -> None:
    """List the environment's flags."""
    stub, environment_id = FlagServiceStub(access.channel), access.environment_id

    def fetch(
        page: mutation_pb2.PageRequest,
    ) -> tuple[Sequence[flag_service_pb2.FlagResource], str]:
        request = flag_service_pb2.ListFlagsRequest(
            environment_id=environment_id, page=page, include_archived=archived, tag=tag
        )
        answer = stub.ListFlags(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.resources, answer.next_token

    if as_json:
        print_json(all_pages(fetch))
    else:
        print_table(_HEADINGS, map(_row, all_pages(fetch)), empty="No flags.")


@flags.command("get")
@click.argument("key")
@management
def get_flag(access: Management, key: str) -> None:
    """Show a flag's whole definition as JSON."""
    request = flag_service_pb2.GetFlagRequest(environment_id=access.environment_id, key=key)
    stub = FlagServiceStub(access.channel)
    print_one(stub.GetFlag(request, metadata=access.metadata, timeout=TIMEOUT).resource)


@flags.command("toggle")
@click.argument("key")
@click.option("--on/--off", "enabled", default=None, help="Which; without it, the other one.")
@click.option("--comment", default="", help="Why, for the audit log.")
@management
@waits
def toggle_flag(access: Management, key: str, enabled: bool | None, comment: str) -> int:
    """Turn a flag on or off."""
    stub, environment_id, version = FlagServiceStub(access.channel), access.environment_id, 0
    if enabled is None:
        get = flag_service_pb2.GetFlagRequest(environment_id=environment_id, key=key)
        current = stub.GetFlag(get, metadata=access.metadata, timeout=TIMEOUT).resource.flag
        # Based on what was seen, so that two who toggle at once do not cancel out.
        enabled, version = not current.enabled, current.version
    request = flag_service_pb2.ToggleFlagRequest(
        environment_id=environment_id,
        key=key,
        enabled=enabled,
        version=version,
        options=mutation_pb2.MutationOptions(comment=comment),
    )
    answer = stub.ToggleFlag(request, metadata=access.metadata, timeout=TIMEOUT)
    click.echo(_state_line(answer.resource))
    return answer.resource.flag.revision


@flags.command("archive")
@click.argument("key")
@click.option("--restore", is_flag=True, help="Bring it back.")
@click.option("--comment", default="", help="Why, for the audit log.")
@management
@waits
def archive_flag(access: Management, key: str, restore: bool, comment: str) -> int:
    """Hide a flag from SDKs, or bring it back."""
    request = flag_service_pb2.ArchiveFlagRequest(
        environment_id=access.environment_id,
        key=key,
        archived=not restore,
        options=mutation_pb2.MutationOptions(comment=comment),
    )
    stub = FlagServiceStub(access.channel)
    answer = stub.ArchiveFlag(request, metadata=access.metadata, timeout=TIMEOUT)
    click.echo(_state_line(answer.resource))
    return answer.resource.flag.revision


@flags.command("history")
@click.argument("key")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@management
def flag_history(access: Management, key: str, limit: int, as_json: bool) -> None:
    """List a flag's versions, newest first, those of a deleted one too."""
    stub, environment_id = FlagServiceStub(access.channel), access.environment_id

    def fetch(
        page: mutation_pb2.PageRequest,
    ) -> tuple[Sequence[flag_service_pb2.FlagVersion], str]:
        request = flag_service_pb2.ListFlagVersionsRequest(
            environment_id=environment_id, key=key, page=page
        )
        answer = stub.ListFlagVersions(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.versions, answer.next_token

    versions = all_pages(fetch, limit=limit)
    if as_json:
        print_json(versions)
    else:
        print_table(_VERSION_HEADINGS, map(_version_row, versions), empty="No versions.")


@flags.command("rollback")
@click.argument("key")
@click.option(
    "--to", "to_version", required=True, type=click.IntRange(1), help="Version to go back to."
)
@click.option("--comment", default="", help="Why, for the audit log.")
@management
@waits
def rollback_flag(access: Management, key: str, to_version: int, comment: str) -> int:
    """Store an earlier version again, as a new one; a deleted flag comes back."""
    request = flag_service_pb2.RollbackFlagRequest(
        environment_id=access.environment_id,
        key=key,
        to_version=to_version,
        options=mutation_pb2.MutationOptions(comment=comment),
    )
    stub = FlagServiceStub(access.channel)
    flag = stub.RollbackFlag(request, metadata=access.metadata, timeout=TIMEOUT).resource.flag
    click.echo(
        f"{key} is as in version {to_version}: now version {flag.version}"
        f" (revision {flag.revision})."
    )
    return flag.revision


@flags.command("delete")
@click.argument("key")
@click.option("--comment", default="", help="Why, for the audit log.")
@management
@waits
def delete_flag(access: Management, key: str, comment: str) -> int:
    """Delete a flag; SDKs forget it, its history stays."""
    request = flag_service_pb2.DeleteFlagRequest(
        environment_id=access.environment_id,
        key=key,
        options=mutation_pb2.MutationOptions(comment=comment),
    )
    stub = FlagServiceStub(access.channel)
    answer = stub.DeleteFlag(request, metadata=access.metadata, timeout=TIMEOUT)
    click.echo(f"{key} is deleted (revision {answer.revision}).")
    return answer.revision


def _state(resource: flag_service_pb2.FlagResource) -> str:
    if resource.flag.archived:
        return "archived"
    return "on" if resource.flag.enabled else "off"


def _state_line(resource: flag_service_pb2.FlagResource) -> str:
    return f"{resource.flag.key} is {_state(resource)} (revision {resource.flag.revision})."


def _version_row(version: flag_service_pb2.FlagVersion) -> tuple[str, ...]:
    known = version.HasField("resource")
    state = _state(version.resource) if known else "deleted"
    resource = version.resource
    updated, who = shown_time(resource.updated_at), resource.updated_by
    return (str(version.version), state, str(version.revision), updated, who, resource.name)


def _row(resource: flag_service_pb2.FlagResource) -> tuple[str, ...]:
    flag = resource.flag
    value_type = value_pb2.ValueType.Name(flag.value_type).removeprefix("VALUE_TYPE_").lower()
    updated = shown_time(resource.updated_at)
    return (flag.key, _state(resource), value_type, str(flag.version), updated, resource.name)
