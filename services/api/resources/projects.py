"""ProjectService."""

from __future__ import annotations

from typing import Final

from featmesh.management.v1 import project_service_pb2 as pb
from services.api.resources.standard import ResourceType
from services.storage.model.kinds import PROJECT
from services.storage.model.resource import Stored
from services.storage.model.tenancy import Project


def _write(message: pb.Project, stored: Stored[Project]) -> None:
    message.key, message.display_name = stored.content.key, stored.content.display_name


def _read(message: pb.Project, current: Stored[Project] | None) -> Project:
    return Project(message.key, message.display_name)


PROJECTS: Final = ResourceType(
    kind=PROJECT,
    service=pb.DESCRIPTOR.services_by_name["ProjectService"],
    message=pb.Project,
    field="project",
    plural="projects",
    write=_write,
    read=_read,
)
