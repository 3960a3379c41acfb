"""EnvironmentService."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.message import Message

from featmesh.management.v1 import environment_service_pb2 as pb
from services.api.changes.hooks import CommitHooks
from services.api.resources.standard import Deps, ResourceType, Standard
from services.api.rpc.call import Call
from services.storage.model.kinds import ENVIRONMENT
from services.storage.model.resource import Stored
from services.storage.model.tenancy import DEFAULT_RETENTION_DAYS, Environment


def _write(message: pb.Environment, stored: Stored[Environment]) -> None:
    environment = stored.content
    message.key, message.display_name = environment.key, environment.display_name
    message.retention_days = environment.retention_days
    message.revision = stored.meta.revision


def _read(message: pb.Environment, current: Stored[Environment] | None) -> Environment:
    kept = current.content.retention_days if current else DEFAULT_RETENTION_DAYS
    return Environment(message.key, message.display_name, message.retention_days or kept)


ENVIRONMENTS: Final = ResourceType(
    kind=ENVIRONMENT,
    service=pb.DESCRIPTOR.services_by_name["EnvironmentService"],
    message=pb.Environment,
    field="environment",
    plural="environments",
    write=_write,
    read=_read,
)


class EnvironmentMethods(Standard[Environment]):
    """The standard ones; what a deleted environment held is removed in the background."""

    def __init__(self, deps: Deps, hooks: CommitHooks) -> None:
        super().__init__(ENVIRONMENTS, deps)
        self._hooks = hooks

    async def delete(self, request: Any, call: Call) -> Message:
        """Deletes for good."""
        response = await super().delete(request, call)
        self._hooks.environment_deleted()
        return response
