"""`featmesh audit`: who changed what."""

from __future__ import annotations

from collections.abc import Sequence

import click

from featmesh.management.v1 import audit_service_pb2, mutation_pb2
from featmesh.management.v1.audit_service_pb2_grpc import AuditServiceStub
from featmesh_cli.access import TIMEOUT, Management, management
from featmesh_cli.output import print_json, print_table, shown_time
from featmesh_cli.paging import all_pages


@click.command()
@click.option("--resource", default="", help="Only of this one, `flag/checkout` say.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@management
def audit(access: Management, resource: str, limit: int, as_json: bool) -> None:
    """List the environment's changes, newest first."""
    stub, environment_id = AuditServiceStub(access.channel), access.environment_id

    def fetch(
        page: mutation_pb2.PageRequest,
    ) -> tuple[Sequence[audit_service_pb2.AuditEntry], str]:
        request = audit_service_pb2.ListAuditEntriesRequest(
            environment_id=environment_id, page=page, resource=resource
        )
        answer = stub.ListAuditEntries(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.entries, answer.next_token

    entries = all_pages(fetch, limit=limit)
    if as_json:
        print_json(entries)
    else:
        headings = ("TIME", "WHO", "OPERATION", "RESOURCE", "REVISION", "COMMENT")
        print_table(headings, map(_row, entries), empty="No changes.")


def _row(entry: audit_service_pb2.AuditEntry) -> tuple[str, ...]:
    return (
        shown_time(entry.time),
        entry.actor,
        entry.operation,
        entry.resource,
        str(entry.revision),
        entry.comment,
    )
