"""`featmesh audit`: who changed what."""

from __future__ import annotations

import click

from featmesh.management.v1 import audit_service_pb2 as pb
from featmesh.management.v1.audit_service_pb2_grpc import AuditServiceStub
from featmesh_cli.access import Management, management
from featmesh_cli.commands.tenancy import ENVIRONMENT
from featmesh_cli.output import Columns, json_option, print_list, shown_time
from featmesh_cli.paging import limit_option, listed


@click.command()
@click.option(
    "--resource", default="", metavar="NAME", help="Only of this one, `flags/checkout` say."
)
@click.option("--filter", "filter_", default="", metavar="FILTER", help="Only those.")
@click.option(
    "--in", "place", default=None, metavar="NAME",
    help='An organization or project, or "" for all, instead of the environment.',
)  # fmt: skip
@limit_option(50, low=1)
@json_option
@management
def audit(
    access: Management, /, resource: str, filter_: str, place: str | None, *, limit: int,
    as_json: bool,
) -> None:  # fmt: skip
    """List changes in the environment, newest first; as JSON with what was there before."""
    parent = access.environment if place is None else place
    terms = [f"({filter_})" if filter_ and resource else filter_]
    if resource:
        terms.append(f'resource = "{_full_name(access, resource)}"')
    request = pb.ListAuditEntriesRequest(
        parent=parent, filter=" AND ".join(filter(None, terms)), contents=as_json
    )
    stub = AuditServiceStub(access.channel)
    entries = listed(access, stub.ListAuditEntries, request, limit=limit)
    print_list(entries, _columns(parent), as_json=as_json, empty="No changes.")


def _full_name(access: Management, resource: str) -> str:
    """Entries have names of keys alone, which an environment's id does not tell."""
    if resource.startswith(("organizations/", "tokens/")):
        return resource
    return f"{ENVIRONMENT.get(access, access.environment).name}/{resource}"


def _columns(parent: str) -> Columns:
    return {
        "TIME": lambda entry: shown_time(entry.time),
        "WHO": lambda entry: entry.actor.display_name,
        "OPERATION": lambda entry: entry.operation,
        "RESOURCE": lambda entry: entry.resource.removeprefix(f"{parent}/"),
        "REVISION": lambda entry: str(entry.revision),
        "COMMENT": lambda entry: entry.comment,
    }
