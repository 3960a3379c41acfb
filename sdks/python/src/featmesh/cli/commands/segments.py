"""`featmesh segments`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from featmesh.cli.access import TIMEOUT, Management, management
from featmesh.cli.output import print_json, print_one, print_table, shown_time
from featmesh.cli.paging import all_pages
from featmesh.cli.rollouts import waits
from featmesh.management.v1 import mutation_pb2, segment_service_pb2
from featmesh.management.v1.segment_service_pb2_grpc import SegmentServiceStub

_HEADINGS = ("KEY", "STATE", "INCLUDED", "EXCLUDED", "RULES", "VERSION", "UPDATED", "NAME")


@click.group()
def segments() -> None:
    """List, show, archive and delete segments."""


@segments.command("list")
@click.option("--archived", is_flag=True, help="Archived ones too.")
@click.option("--tag", default="", help="Only those with this tag.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@management
def list_segments(access: Management, archived: bool, tag: str, as_json: bool) -> None:
    """List the environment's segments."""
    stub, environment_id = SegmentServiceStub(access.channel), access.environment_id

    def fetch(
        page: mutation_pb2.PageRequest,
    ) -> tuple[Sequence[segment_service_pb2.SegmentResource], str]:
        request = segment_service_pb2.ListSegmentsRequest(
            environment_id=environment_id, page=page, include_archived=archived, tag=tag
        )
        answer = stub.ListSegments(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.resources, answer.next_token

    if as_json:
        print_json(all_pages(fetch))
    else:
        print_table(_HEADINGS, map(_row, all_pages(fetch)), empty="No segments.")


@segments.command("get")
@click.argument("key")
@management
def get_segment(access: Management, key: str) -> None:
    """Show a segment's whole definition as JSON."""
    request = segment_service_pb2.GetSegmentRequest(environment_id=access.environment_id, key=key)
    stub = SegmentServiceStub(access.channel)
    print_one(stub.GetSegment(request, metadata=access.metadata, timeout=TIMEOUT).resource)


@segments.command("archive")
@click.argument("key")
@click.option("--restore", is_flag=True, help="Bring it back.")
@click.option("--comment", default="", help="Why, for the audit log.")
@management
@waits
def archive_segment(access: Management, key: str, restore: bool, comment: str) -> int:
    """Empty a segment that nothing uses by archiving it, or bring it back."""
    request = segment_service_pb2.ArchiveSegmentRequest(
        environment_id=access.environment_id,
        key=key,
        archived=not restore,
        options=mutation_pb2.MutationOptions(comment=comment),
    )
    stub = SegmentServiceStub(access.channel)
    segment = stub.ArchiveSegment(
        request, metadata=access.metadata, timeout=TIMEOUT
    ).resource.segment
    state = "archived" if segment.archived else "active"
    click.echo(f"{segment.key} is {state} (revision {segment.revision}).")
    return segment.revision


@segments.command("delete")
@click.argument("key")
@click.option("--comment", default="", help="Why, for the audit log.")
@management
@waits
def delete_segment(access: Management, key: str, comment: str) -> int:
    """Delete a segment for good."""
    request = segment_service_pb2.DeleteSegmentRequest(
        environment_id=access.environment_id,
        key=key,
        options=mutation_pb2.MutationOptions(comment=comment),
    )
    stub = SegmentServiceStub(access.channel)
    answer = stub.DeleteSegment(request, metadata=access.metadata, timeout=TIMEOUT)
    click.echo(f"{key} is deleted (revision {answer.revision}).")
    return answer.revision


def _row(resource: segment_service_pb2.SegmentResource) -> tuple[str, ...]:
    segment = resource.segment
    return (
        segment.key,
        "archived" if segment.archived else "active",
        str(len(segment.included)),
        str(len(segment.excluded)),
        str(len(segment.rules)),
        str(segment.version),
        shown_time(resource.updated_at),
        resource.name,
    )
