"""What only operators see of an item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.api.rpc import limits
from services.api.rpc.validation.faults import Faults


class Labelled(Protocol):
    """A FlagResource or a SegmentResource."""

    name: str
    description: str

    @property
    def tags(self) -> Sequence[str]: ...


def check_label(faults: Faults, path: str, resource: Labelled) -> None:
    """Name, description and tags."""
    faults.line(f"{path}.name", resource.name, limits.NAME_BYTES, low=1)
    faults.text(f"{path}.description", resource.description, limits.DESCRIPTION_BYTES)
    faults.count(f"{path}.tags", len(resource.tags), limits.TAGS)
    for index, tag in enumerate(resource.tags):
        faults.line(f"{path}.tags[{index}]", tag, limits.TAG_BYTES, low=1)
    faults.unique((f"{path}.tags[{index}]", tag) for index, tag in enumerate(resource.tags))
