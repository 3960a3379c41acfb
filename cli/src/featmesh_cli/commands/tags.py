"""`featmesh tags`."""

from __future__ import annotations

from typing import Final

from featmesh.management.v1 import tag_service_pb2
from featmesh_cli.commands.labels import DISPLAY_NAME
from featmesh_cli.kinds import Field, Kind
from featmesh_cli.resource import resource_group

TAG: Final = Kind(
    noun="tag",
    collection="tags",
    service=tag_service_pb2.DESCRIPTOR.services_by_name["TagService"],
    parent="projects",
    columns={
        "KEY": lambda tag: tag.key,
        "COLOUR": lambda tag: tag.color,
        "NAME": lambda tag: tag.display_name,
        "DESCRIPTION": lambda tag: tag.description,
    },
    fields=(
        DISPLAY_NAME,
        Field("description", "--description", "What it stands for."),
        Field("color", "--colour", "Its colour, as #rrggbb."),
    ),
)

tags = resource_group(TAG, "tags", help_text="Tags, by which flags and segments are found.")
