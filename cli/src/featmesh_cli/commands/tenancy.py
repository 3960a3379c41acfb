"""`featmesh organizations`, `projects` and `environments`."""

from __future__ import annotations

from typing import Final

from featmesh.management.v1 import environment_service_pb2 as environment_pb
from featmesh.management.v1 import organization_service_pb2, project_service_pb2
from featmesh_cli.commands.labels import DISPLAY_NAME
from featmesh_cli.kinds import Field, Kind
from featmesh_cli.limits import range_of
from featmesh_cli.output import Columns
from featmesh_cli.resource import resource_group

_PLACE: Final[Columns] = {
    "RESOURCE": lambda place: place.name,
    "NAME": lambda place: place.display_name,
}

ORGANIZATION: Final = Kind(
    noun="organization",
    collection="organizations",
    service=organization_service_pb2.DESCRIPTOR.services_by_name["OrganizationService"],
    parent="",
    columns=_PLACE,
    fields=(DISPLAY_NAME,),
)
PROJECT: Final = Kind(
    noun="project",
    collection="projects",
    service=project_service_pb2.DESCRIPTOR.services_by_name["ProjectService"],
    parent="organizations",
    columns=_PLACE,
    fields=(DISPLAY_NAME,),
)
ENVIRONMENT: Final = Kind(
    noun="environment",
    collection="environments",
    service=environment_pb.DESCRIPTOR.services_by_name["EnvironmentService"],
    parent="projects",
    columns={
        "RESOURCE": lambda environment: environment.name,
        "REVISION": lambda environment: str(environment.revision),
        "EVENTS KEPT": lambda environment: f"{environment.retention_days} days",
        "NAME": lambda environment: environment.display_name,
    },
    fields=(
        DISPLAY_NAME,
        Field(
            "retention_days",
            "--retention-days",
            "How long events are kept that are stored from now on.",
            type=range_of(environment_pb.Environment, "retention_days"),
        ),
    ),
    confirmation="with its flags, segments, SDK keys, users, events and history, for good",
)

organizations = resource_group(
    ORGANIZATION, "organizations", help_text="Organizations, which own projects."
)
projects = resource_group(PROJECT, "projects", help_text="Projects, which own environments.")
environments = resource_group(
    ENVIRONMENT,
    "environments",
    help_text="Environments; without a KEY the one that --environment names.",
)
environments.add_command(environments.commands["get"], "show")
