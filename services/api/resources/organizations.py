"""OrganizationService."""

from __future__ import annotations

from typing import Final

from featmesh.management.v1 import organization_service_pb2 as pb
from services.api.resources.standard import ResourceType
from services.storage.model.kinds import ORGANIZATION
from services.storage.model.resource import Stored
from services.storage.model.tenancy import Organization


def _write(message: pb.Organization, stored: Stored[Organization]) -> None:
    message.key, message.display_name = stored.content.key, stored.content.display_name


def _read(message: pb.Organization, current: Stored[Organization] | None) -> Organization:
    return Organization(message.key, message.display_name)


ORGANIZATIONS: Final = ResourceType(
    kind=ORGANIZATION,
    service=pb.DESCRIPTOR.services_by_name["OrganizationService"],
    message=pb.Organization,
    field="organization",
    plural="organizations",
    write=_write,
    read=_read,
)
