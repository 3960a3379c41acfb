"""TagService."""

from __future__ import annotations

from typing import Final

from featmesh.management.v1 import tag_service_pb2 as pb
from services.api.resources.standard import ResourceType
from services.storage.model.kinds import TAG
from services.storage.model.resource import Stored
from services.storage.model.tags import Tag


def _write(message: pb.Tag, stored: Stored[Tag]) -> None:
    tag = stored.content
    message.key, message.display_name = tag.key, tag.display_name
    message.description, message.color = tag.description, tag.color


def _read(message: pb.Tag, current: Stored[Tag] | None) -> Tag:
    return Tag(message.key, message.display_name, message.description, message.color)


TAGS: Final = ResourceType(
    kind=TAG,
    service=pb.DESCRIPTOR.services_by_name["TagService"],
    message=pb.Tag,
    field="tag",
    plural="tags",
    write=_write,
    read=_read,
)
