"""`featmesh import`: brings in what another installation holds."""

from __future__ import annotations

from pathlib import Path

import click
import grpc

from featmesh.management.v1 import import_service_pb2, mutation_pb2
from featmesh.management.v1.import_service_pb2_grpc import ImportServiceStub
from featmesh_cli.access import Management, management
from featmesh_cli.errors import CommandError, describe
from featmesh_cli.featbit import Export, locate, read_export
from featmesh_cli.rollouts import waits

MAX_REQUEST_BYTES = 16 * 1024 * 1024
IMPORT_TIMEOUT = 120.0
"""Seconds; one transaction over up to 10,000 items."""

_CONFLICTS = {
    "fail": import_service_pb2.IMPORT_CONFLICT_FAIL,
    "skip": import_service_pb2.IMPORT_CONFLICT_SKIP,
    "replace": import_service_pb2.IMPORT_CONFLICT_REPLACE,
}
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("import")
def import_group() -> None:
    """Bring in what another installation holds."""


@import_group.command("featbit")
@click.option("--flags", type=_FILE, required=True, help="FeatBit's flags, a JSON list.")
@click.option("--segments", type=_FILE, required=True, help="FeatBit's segments, a JSON list.")
@click.option(
    "--on-conflict",
    type=click.Choice(list(_CONFLICTS)),
    default="fail",
    show_default=True,
    help="What happens to a key that is taken.",
)
@click.option("--dry-run", "validate_only", is_flag=True, help="Check everything, write nothing.")
@management
@waits
def featbit(
    access: Management, flags: Path, segments: Path, on_conflict: str, validate_only: bool
) -> int:
    """Import a FeatBit installation's flags and segments: all of them, or nothing."""
    environment_id = access.environment_id
    click.echo(f"Reading {flags} and {segments} ...", err=True)
    export = read_export(flags, segments)
    if export.faults:
        raise CommandError(
            f"nothing imported, {len(export.faults)} faults:", tuple(map(str, export.faults))
        )
    request = import_service_pb2.ImportItemsRequest(
        environment_id=environment_id,
        flags=export.flags,
        segments=export.segments,
        conflict=_CONFLICTS[on_conflict],
        options=mutation_pb2.MutationOptions(
            comment="imported from FeatBit", validate_only=validate_only
        ),
    )
    _check_size(request)
    click.echo(f"Importing {_counted(export)} ...", err=True)
    answer = _send(access, request, names={"flags": flags.name, "segments": segments.name})
    click.echo(_summary(answer, validate_only=validate_only))
    return 0 if validate_only else answer.revision


def _check_size(request: import_service_pb2.ImportItemsRequest) -> None:
    size = request.ByteSize()
    if size > MAX_REQUEST_BYTES:
        raise CommandError(
            f"nothing imported: the export is {size:,} bytes, more than {MAX_REQUEST_BYTES:,}"
        )


def _send(
    access: Management, request: import_service_pb2.ImportItemsRequest, *, names: dict[str, str]
) -> import_service_pb2.ImportItemsResponse:
    def place_of(field: str) -> str:
        position = locate(field)
        return f"{names[position.file]}: {position.path}" if position else field

    try:
        return ImportServiceStub(access.channel).ImportItems(
            request, metadata=access.metadata, timeout=IMPORT_TIMEOUT
        )
    except grpc.RpcError as error:
        raise describe(error, place_of) from error


def _counted(export: Export) -> str:
    return f"{len(export.flags)} flags and {len(export.segments)} segments"


def _summary(answer: import_service_pb2.ImportItemsResponse, *, validate_only: bool) -> str:
    verb = "Would import" if validate_only else "Imported"
    line = f"{verb} {answer.flags_written} flags and {answer.segments_written} segments"
    if answer.flags_skipped or answer.segments_skipped:
        line += (
            f", left {answer.flags_skipped} flags and"
            f" {answer.segments_skipped} segments as they were"
        )
    return f"{line}; the environment is at revision {answer.revision}."
