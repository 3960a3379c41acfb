"""Fields that an operator finds things by, of resources of several kinds."""

from __future__ import annotations

from typing import Final

from featmesh_cli.kinds import Field

DISPLAY_NAME: Final = Field(
    "display_name", "--name", "Shown to operators; if not given, a new one's key."
)
DEFINITION_LABELS: Final = (
    Field("display_name", "--name", "Shown to operators.", creates=False),
    Field("description", "--description", "For operators.", creates=False),
    Field(
        "tags",
        "--tag",
        "A word to find it by, of all that it is to have; may be given often.",
        multiple=True,
        creates=False,
    ),
)
