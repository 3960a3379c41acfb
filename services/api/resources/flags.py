"""FlagService."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from google.protobuf.message import Message

from featmesh.management.v1 import flag_service_pb2 as pb
from featmesh.wire import flag_from_proto, flag_to_proto
from services.api.changes.definitions import flag_with_defaults
from services.api.resources.standard import Deps, ResourceType
from services.api.resources.versioned import DefinitionMethods
from services.api.rpc.call import Call
from services.api.rpc.dispatch import Behaviour
from services.api.rpc.validation.flags import check_flag_resource
from services.runtime.errors import InvalidArgument
from services.storage.model.items import FlagRecord
from services.storage.model.kinds import FLAG
from services.storage.model.resource import Stored


def _write(message: pb.FlagResource, stored: Stored[FlagRecord]) -> None:
    record = stored.content
    message.flag.CopyFrom(flag_to_proto(record.definition))
    message.display_name, message.description = record.display_name, record.description
    message.tags.extend(record.tags)
    if stored.is_basic:
        message.counts.CopyFrom(pb.FlagCounts(**stored.counts))


def _read(message: pb.FlagResource, current: Stored[FlagRecord] | None) -> FlagRecord:
    record = flag_record(message)
    flag = record.definition
    before = current.content.definition if current else None
    if before is not None and flag.key != before.key:
        raise InvalidArgument.of("resource.flag.key", f"never changes; it is '{before.key}'")
    return replace(record, definition=flag_with_defaults(flag, before))


def flag_record(message: pb.FlagResource) -> FlagRecord:
    """Returns a flag as an operator sent it; what is left out is still to be filled in."""
    return FlagRecord(
        flag_from_proto(message.flag),
        message.display_name,
        message.description,
        tuple(message.tags),
    )


FLAGS: Final = ResourceType(
    kind=FLAG,
    service=pb.DESCRIPTOR.services_by_name["FlagService"],
    message=pb.FlagResource,
    field="resource",
    plural="resources",
    write=_write,
    read=_read,
    check=check_flag_resource,
    has_tags=True,
)


class FlagMethods(DefinitionMethods[FlagRecord]):
    """The ones that all definitions have, and toggling."""

    def __init__(self, deps: Deps) -> None:
        super().__init__(FLAGS, deps, pb.FlagVersion)

    def methods(self) -> dict[str, Behaviour]:
        """Returns all of them."""
        return {**super().methods(), "ToggleFlag": self.toggle}

    async def toggle(self, request: pb.ToggleFlagRequest, call: Call) -> Message:
        """Turns it on or off; doing what is already so writes nothing."""

        def toggled(record: FlagRecord) -> FlagRecord:
            if record.definition.enabled == request.enabled:
                return record
            definition = replace(record.definition, enabled=request.enabled)
            return replace(record, definition=definition)

        return await self.edited("Toggle", "toggle", toggled, request, call)
