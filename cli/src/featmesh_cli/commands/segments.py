"""`featmesh segments`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from featmesh.management.v1 import mutation_pb2, segment_service_pb2
from featmesh.management.v1.segment_service_pb2_grpc import SegmentServiceStub
from featmesh_cli.access import TIMEOUT, Management, management
from featmesh_cli.output import print_json, print_one, print_table, shown_time
from featmesh_cli.paging import all_pages
from featmesh_cli.rollouts import waits

_HEADINGS = ("KEY", "STATE", "INCLUDED", "EXCLUDED", "RULES", "VERSION", "UPDATED", "NAME")
_VERSION_HEADINGS = ("VERSION", "STATE", "REVISION", "UPDATED", "BY", "NAME")


@click.group()
def segments() -> None:
    """List, show, archive, roll back and delete segments."""


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
    resource = stub.ArchiveSegment(request, metadata=access.metadata, timeout=TIMEOUT).resource
    segment = resource.segment
    click.echo(f"{segment.key} is {_state(resource)} (revision {segment.revision}).")
    return segment.revision


@segments.command("history")
@click.argument("key")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@management
def segment_history(access: Management, key: str, limit: int, as_json: bool) -> None:
    """List a segment's versions, newest first, those of a deleted one too."""
    stub, environment_id = SegmentServiceStub(access.channel), access.environment_id

    def fetch(
        page: mutation_pb2.PageRequest,
    ) -> tuple[Sequence[segment_service_pb2.SegmentVersion], str]:
        request = segment_service_pb2.ListSegmentVersionsRequest(
            environment_id=environment_id, key=key, page=page
        )
        answer = stub.ListSegmentVersions(request, metadata=access.metadata, timeout=TIMEOUT)
        return answer.versions, answer.next_token

    versions = all_pages(fetch, limit=limit)
    if as_json:
        print_json(versions)
    else:
        print_table(_VERSION_HEADINGS, map(_version_row, versions), empty="No versions.")


@segments.command("rollback")
@click.argument("key")
@click.option(
    "--to", "to_version", required=True, type=click.IntRange(1), help="Version to go back to."
)
@click.option("--comment", default="", help="Why, for the audit log.")
@management
@waits
def rollback_segment(access: Management, key: str, to_version: int, comment: str) -> int:
    """Store an earlier version again, as a new one; a deleted segment comes back."""
    request = segment_service_pb2.RollbackSegmentRequest(
        environment_id=access.environment_id,
        key=key,
        to_version=to_version,
        options=mutation_pb2.MutationOptions(comment=comment),
    )
    stub = SegmentServiceStub(access.channel)
    segment = stub.RollbackSegment(
        request, metadata=access.metadata, timeout=TIMEOUT
    ).resource.segment
    click.echo(
        f"{key} is as in version {to_version}: now version {segment.version}"
        f" (revision {segment.revision})."
    )
    return segment.revision


@segments.command("delete")
@click.argument("key")
@click.option("--comment", default="", help="Why, for the audit log.")
@management
@waits
def delete_segment(access: Management, key: str, comment: str) -> int:
    """Delete a segment; SDKs forget it, its history stays."""
    request = segment_service_pb2.DeleteSegmentRequest(
        environment_id=access.environment_id,
        key=key,
        options=mutation_pb2.MutationOptions(comment=comment),
    )
    stub = SegmentServiceStub(access.channel)
    answer = stub.DeleteSegment(request, metadata=access.metadata, timeout=TIMEOUT)
    click.echo(f"{key} is deleted (revision {answer.revision}).")
    return answer.revision


def _state(resource: segment_service_pb2.SegmentResource) -> str:
    return "archived" if resource.segment.archived else "active"


def _version_row(version: segment_service_pb2.SegmentVersion) -> tuple[str, ...]:
    known = version.HasField("resource")
    state = _state(version.resource) if known else "deleted"
    resource = version.resource
    updated, who = shown_time(resource.updated_at), resource.updated_by
    return (str(version.version), state, str(version.revision), updated, who, resource.name)


def _row(resource: segment_service_pb2.SegmentResource) -> tuple[str, ...]:
    segment = resource.segment
    return (
        segment.key,
        _state(resource),
        str(len(segment.included)),
        str(len(segment.excluded)),
        str(len(segment.rules)),
        str(segment.version),
        shown_time(resource.updated_at),
        resource.name,
    )
