"""`featmesh experiments`: the data that results are made from."""

from __future__ import annotations

import click

from featmesh.management.v1 import report_service_pb2 as pb
from featmesh.management.v1.report_service_pb2_grpc import ReportServiceStub
from featmesh_cli.access import TIMEOUT, Management, management
from featmesh_cli.commands.insights import variation_names
from featmesh_cli.output import print_json, print_table


@click.group()
def experiments() -> None:
    """Exposures of experiments, and what users did after them."""


@experiments.command("data")
@click.argument("flag")
@click.option("--event", default="", metavar="NAME", help="A metric event to count.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@management
def experiment_data(access: Management, flag: str, event: str, as_json: bool) -> None:
    """Show a flag's experiment: users by first exposure, and their events afterwards."""
    request = pb.GetExperimentDataRequest(
        environment_id=access.environment_id, flag_key=flag, event_name=event
    )
    stub = ReportServiceStub(access.channel)
    answer = stub.GetExperimentData(request, metadata=access.metadata, timeout=TIMEOUT)
    if as_json:
        print_json(answer.variations)
        return
    names = variation_names(access, flag)
    rows = (
        (
            names.get(each.variation_id, each.variation_id),
            f"{each.users:,}",
            f"{each.users_of_several:,}",
            *([f"{each.converted_users:,}", f"{each.events:,}", f"{each.sum:g}"] if event else []),
        )
        for each in answer.variations
    )
    counted = ("DID IT", "EVENTS", "SUM") if event else ()
    headings = ("VARIATION", "USERS", "OF SEVERAL", *counted)
    print_table(headings, rows, empty="No exposures.")
