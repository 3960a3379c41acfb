"""Turns the paths that the server names into places in FeatBit's files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_STEP = re.compile(r"(?P<name>\w+)(?P<index>(\[\d+\])?)\.?")
_FLAG = {
    "display_name": "name",
    "value_type": "variationType",
    "enabled": "isEnabled",
    "off_variation_id": "disabledVariationId",
    "targets": "targetUsers",
    "keys": "keyIds",
    "variation_id": "variationId",
    "include_all_targets": "exptIncludeAllTargets",
    "archived": "isArchived",
    "shares": "variations",
    "weight": "rollout",
    "experiment_share": "exptRollout",
    "dispatch_attribute": "dispatchKey",
    "in_experiment": "includedInExpt",
    "attribute": "property",
    "operator": "op",
    "values": "value",
}
_DROPPED = frozenset({"flag", "segment", "rollout"})
"""Steps of our messages that FeatBit's files do not have."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in one of the two files."""

    file: Literal["flags", "segments"]
    path: str


def locate(server_path: str) -> Position | None:
    """Finds the place of a field of an ImportItemsRequest, `flags[3].flag.rules[0]` say.

    Returns:
        None for a field that stems from no file.
    """
    root = re.match(r"(?:import\.)?(flags|segments)(\[\d+\])", server_path)
    if root is None:
        return None
    file: Literal["flags", "segments"] = "flags" if root[1] == "flags" else "segments"
    steps, parent = [root[2]], ""
    for step in _STEP.finditer(server_path, root.end()):
        name = step["name"]
        if name in _DROPPED:
            continue
        renamed = "id" if name == "variation_id" and parent == "shares" else _FLAG.get(name, name)
        # A list of operands is one text in FeatBit, and `value` holds the scalar itself.
        scalar = renamed == "value"
        steps.append(f".{renamed}" + ("" if scalar else step["index"]))
        if scalar:
            break
        parent = name
    return Position(file, "".join(steps))
