"""Keys of flags and segments."""

from __future__ import annotations

import re
from collections.abc import Collection

from featmesh_cli.featbit.node import Node

MAX_KEY = 128
_KEY = re.compile(r"[a-zA-Z0-9._-]{1,128}")
_REFUSED = re.compile(r"[^a-z0-9._-]+")


def read_key(node: Node) -> str:
    """Reads a key and checks its characters."""
    key = node.text()
    if isinstance(node.value, str) and not _KEY.fullmatch(key):
        node.fault(f'"{key}" is no key: 1 to 128 of the characters a-z A-Z 0-9 . _ -')
    return key


def key_from_name(name: str, taken: Collection[str]) -> str:
    """Makes a key out of a name, as like it as keys allow and unlike those taken."""
    stem = _REFUSED.sub("-", name.lower()).strip("-")[:MAX_KEY] or "segment"
    key, number = stem, 1
    while key in taken:
        number += 1
        suffix = f"-{number}"
        key = stem[: MAX_KEY - len(suffix)] + suffix
    return key
