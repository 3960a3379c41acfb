"""`featmesh segments`."""

from __future__ import annotations

from featmesh_cli.commands.definitions import SEGMENT, add_definition_commands
from featmesh_cli.resource import resource_group

segments = resource_group(SEGMENT, "segments", help_text="Segments, which rules of flags name.")
add_definition_commands(segments, SEGMENT)
