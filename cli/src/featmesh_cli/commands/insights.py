"""`featmesh evaluations`: what SDKs reported."""

from __future__ import annotations

import time

import click
import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.management.v1 import flag_service_pb2, insight_service_pb2
from featmesh.management.v1.flag_service_pb2_grpc import FlagServiceStub
from featmesh.management.v1.insight_service_pb2_grpc import InsightServiceStub
from featmesh_cli.access import TIMEOUT, Management, management
from featmesh_cli.output import print_json, print_table, shown_time

MAX_HOURS = 93 * 24


@click.command()
@click.argument("flag")
@click.option(
    "--hours",
    type=click.IntRange(1, MAX_HOURS),
    default=24,
    show_default=True,
    help="How far back.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@management
def evaluations(access: Management, flag: str, hours: int, as_json: bool) -> None:
    """Show how often a flag served each variation, hour by hour (UTC)."""
    now = int(time.time())
    request = insight_service_pb2.QueryFlagEvaluationsRequest(
        environment_id=access.environment_id,
        flag_key=flag,
        start_time=Timestamp(seconds=now - hours * 3600),
        end_time=Timestamp(seconds=now + 1),
        granularity=insight_service_pb2.GRANULARITY_HOUR,
    )
    stub = InsightServiceStub(access.channel)
    answer = stub.QueryFlagEvaluations(request, metadata=access.metadata, timeout=TIMEOUT)
    if as_json:
        print_json(answer.counts)
        return
    names = variation_names(access, flag)
    rows = (
        (
            shown_time(count.bucket)[:16],
            names.get(count.variation_id, count.variation_id),
            f"{count.evaluations:,}",
        )
        for count in answer.counts
    )
    print_table(("HOUR", "VARIATION", "EVALUATIONS"), rows, empty="No evaluations.")


def variation_names(access: Management, flag: str) -> dict[str, str]:
    """Names of the flag's variations by id; none when the flag is deleted by now."""
    request = flag_service_pb2.GetFlagRequest(environment_id=access.environment_id, key=flag)
    stub = FlagServiceStub(access.channel)
    try:
        resource = stub.GetFlag(request, metadata=access.metadata, timeout=TIMEOUT).resource
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return {}
        raise
    return {each.id: each.name or each.id for each in resource.flag.variations}
