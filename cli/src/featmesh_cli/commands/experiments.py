"""`featmesh experiments`: the data that results are made from."""

from __future__ import annotations

import click

from featmesh.management.v1 import report_service_pb2 as pb
from featmesh.management.v1.report_service_pb2_grpc import ReportServiceStub
from featmesh_cli.access import Management, management
from featmesh_cli.commands.lookups import variation_names
from featmesh_cli.output import Columns, json_option, print_json, print_list


@click.group()
def experiments() -> None:
    """Exposures of experiments, and what users did after them."""


@experiments.command("data")
@click.argument("flag")
@click.option("--event", default="", metavar="NAME", help="A metric event to count.")
@json_option
@management
def experiment_data(access: Management, flag: str, event: str, as_json: bool) -> None:
    """Show a flag's experiment: users by first exposure, and their events afterwards."""
    request = pb.GetExperimentDataRequest(
        parent=access.environment, flag_key=flag, event_name=event
    )
    answer = access.call(ReportServiceStub(access.channel).GetExperimentData, request)
    if as_json:
        print_json(answer.variations)
        return
    columns = _columns(variation_names(access, flag), has_event=bool(event))
    print_list(answer.variations, columns, as_json=False, empty="No exposures.")


def _columns(names: dict[str, str], *, has_event: bool) -> Columns:
    exposures: Columns = {
        "VARIATION": lambda each: names.get(each.variation_id, each.variation_id),
        "USERS": lambda each: f"{each.users:,}",
        "OF SEVERAL": lambda each: f"{each.users_of_several:,}",
    }
    events: Columns = {
        "DID IT": lambda each: f"{each.converted_users:,}",
        "EVENTS": lambda each: f"{each.events:,}",
        "SUM": lambda each: f"{each.sum:g}",
    }
    return {**exposures, **events} if has_event else exposures
